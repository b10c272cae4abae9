//! A document with its parts: multipart/related (RFC 2387), the root first, binary as SIP is.

use bytes::Bytes;

/// One part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its complete Content-Type.
    pub content_type: String,
    /// Its Content-ID, without `<>`.
    pub content_id: String,
    /// Its Content-Disposition.
    pub disposition: Option<String>,
    /// Its Content-Description.
    pub description: Option<String>,
    /// Its octets.
    pub body: Bytes,
}

impl Part {
    /// One that has nothing but these.
    pub fn new(content_type: impl Into<String>, content_id: impl Into<String>, body: Bytes) -> Part {
        Part {
            content_type: content_type.into(),
            content_id: content_id.into(),
            disposition: None,
            description: None,
            body,
        }
    }

    /// As it stands in an `Accept`: its type without parameters.
    pub fn media_type(&self) -> &str {
        self.content_type.split(';').next().unwrap_or_default().trim()
    }
}

/// A body with its Content-Type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// The complete Content-Type.
    pub content_type: String,
    /// The octets.
    pub octets: Bytes,
}

/// The parts, `root` first.
pub fn related(root: &Part, parts: &[Part]) -> Body {
    let all = || std::iter::once(root).chain(parts);
    let boundary = boundary(all());
    let size: usize = all().map(|part| part.body.len() + 256).sum();
    let mut octets: Vec<u8> = Vec::with_capacity(size);
    for part in all() {
        octets.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
        field(&mut octets, "Content-Type", &part.content_type);
        field(&mut octets, "Content-ID", &format!("<{}>", part.content_id));
        if !part.media_type().ends_with("xml") {
            field(&mut octets, "Content-Transfer-Encoding", "binary");
        }
        for (name, value) in
            [("Content-Disposition", &part.disposition), ("Content-Description", &part.description)]
        {
            if let Some(value) = value {
                field(&mut octets, name, value);
            }
        }
        octets.extend_from_slice(b"\r\n");
        octets.extend_from_slice(&part.body);
        octets.extend_from_slice(b"\r\n");
    }
    octets.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    let content_type = format!(
        "multipart/related;type=\"{}\";start=\"<{}>\";boundary=\"{boundary}\"",
        line(root.media_type()),
        line(&root.content_id)
    );
    Body { content_type, octets: octets.into() }
}

fn field(octets: &mut Vec<u8>, name: &str, value: &str) {
    octets.extend_from_slice(format!("{name}: {}\r\n", line(value)).as_bytes());
}

/// A value that can't end its line.
fn line(value: &str) -> String {
    value.chars().filter(|c| !c.is_control()).collect()
}

/// The first of a series that no part holds, so that a document with parts may be a part.
fn boundary<'a>(parts: impl Iterator<Item = &'a Part> + Clone) -> String {
    let is_free = |boundary: &String| {
        let needle = format!("--{boundary}");
        parts.clone().all(|part| memchr::memmem::find(&part.body, needle.as_bytes()).is_none())
    };
    (0u32..4096).map(|number| format!("part-{number}")).find(is_free).unwrap_or_else(|| "part".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_and_its_picture_are_written_as_in_the_example() {
        let root =
            Part::new("application/pidf+xml;charset=\"UTF-8\"", "pidf1@example.org", "<presence/>".into());
        let mut picture = Part::new("image/jpeg", "face1@example.org", Bytes::from_static(b"\xff\xd8"));
        picture.disposition = Some("icon".into());
        let body = related(&root, &[picture]);
        assert_eq!(
            body.content_type,
            "multipart/related;type=\"application/pidf+xml\";start=\"<pidf1@example.org>\";boundary=\"part-0\""
        );
        let expected: &[u8] = b"--part-0\r\nContent-Type: application/pidf+xml;charset=\"UTF-8\"\r\nContent-ID: <pidf1@example.org>\r\n\r\n<presence/>\r\n--part-0\r\nContent-Type: image/jpeg\r\nContent-ID: <face1@example.org>\r\nContent-Transfer-Encoding: binary\r\nContent-Disposition: icon\r\n\r\n\xff\xd8\r\n--part-0--\r\n";
        assert_eq!(body.octets, expected);
    }

    #[test]
    fn a_boundary_is_in_no_part_and_a_value_ends_no_line() {
        let inner = related(&Part::new("a/b", "1", "x".into()), &[]);
        let mut part = Part::new(inner.content_type, "2", inner.octets);
        part.description = Some("a\r\nContent-Type: evil/type".into());
        let outer = related(&Part::new("c/d", "3", "y".into()), &[part]);
        assert!(outer.content_type.ends_with("boundary=\"part-1\""));
        let text = String::from_utf8(outer.octets.to_vec()).unwrap();
        assert!(text.contains("Content-Description: aContent-Type: evil/type\r\n"));
    }
}
