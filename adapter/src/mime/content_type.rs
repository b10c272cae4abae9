//! Content-Type values (RFC 2045 §5.1).

use std::fmt;

use bytes::Bytes;

/// Octets a boundary may have: RFC 2046 §5.1.1 says 70, some senders don't count.
const BOUNDARY_LIMIT: usize = 200;

/// A media type with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentType {
    /// `type/subtype`, lower-case.
    pub essence: String,
    /// Names lower-case, values without quotes, in order.
    pub params: Vec<(String, String)>,
    /// The value as written, folds taken away.
    pub written: String,
    /// Names of parameters before which a `;` was missing.
    pub unseparated: Vec<String>,
}

impl ContentType {
    /// A type without parameters.
    pub fn new(essence: &str) -> ContentType {
        ContentType {
            essence: essence.to_ascii_lowercase(),
            params: Vec::new(),
            written: essence.into(),
            unseparated: Vec::new(),
        }
    }

    /// Reads a value. What has no `/` is `application/octet-stream` (RFC 2045 §5.2 would guess text; but what
    /// can't be read must not be shown wrong).
    pub fn read(value: &[u8]) -> ContentType {
        let written = String::from_utf8_lossy(&grammar::unfold(value)).into_owned();
        let (name, rest) = grammar::split_once(value, |b| b == b';').unwrap_or((value, b""));
        let name: String =
            String::from_utf8_lossy(name).split_whitespace().collect::<String>().to_ascii_lowercase();
        let well_formed = name.split_once('/').is_some_and(|(kind, sub)| {
            grammar::is_token(kind.as_bytes()) && !sub.is_empty() && sub.bytes().all(grammar::is_tchar)
        });
        let essence = if well_formed { name } else { "application/octet-stream".into() };
        let mut read = ContentType { essence, params: Vec::new(), written, unseparated: Vec::new() };
        for param in grammar::params(rest) {
            read.push(param);
        }
        read
    }

    fn push(&mut self, param: grammar::Param<'_>) {
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let Some(value) = param.value else { return };
        self.params.push((text(param.name).to_ascii_lowercase(), text(&value.text())));
        let grammar::Value::Quoted(inner) = value else { return };
        let after = param.raw.iter().position(|&b| b == b'"').map(|at| at + inner.len() + 2);
        let Some(glued) = after.and_then(|at| param.raw.get(at..)) else { return };
        if let Some((name, value)) = grammar::split_once(glued, |b| b == b'=') {
            let name = text(grammar::trim(name)).to_ascii_lowercase();
            if grammar::is_token(name.as_bytes()) {
                self.params.push((name.clone(), text(&grammar::Value::read(grammar::trim(value)).text())));
                self.unseparated.push(name);
            }
        }
    }

    /// Whether it is this type; `essence` in lower-case.
    pub fn is(&self, essence: &str) -> bool {
        self.essence == essence
    }

    /// Whether it is of this top-level type.
    pub fn is_kind(&self, kind: &str) -> bool {
        self.essence.split('/').next() == Some(kind)
    }

    /// The first parameter of that name (in lower-case).
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The boundary, if it can be one.
    pub fn boundary(&self) -> Option<Bytes> {
        let value = self.param("boundary")?.trim_end();
        (!value.is_empty() && value.len() <= BOUNDARY_LIMIT).then(|| Bytes::copy_from_slice(value.as_bytes()))
    }
}

impl fmt::Display for ContentType {
    /// As a Content-Type value; parameters that are no tokens are quoted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.essence)?;
        for (name, value) in &self.params {
            if grammar::is_token(value.as_bytes()) {
                write!(f, "; {name}={value}")?;
            } else {
                let escaped = value.replace(['\r', '\n'], " ").replace('\\', "\\\\").replace('"', "\\\"");
                write!(f, "; {name}=\"{escaped}\"")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boundary_over_200_octets_is_none() {
        let boundary = |octets: usize| {
            ContentType::read(format!("multipart/mixed; boundary={}", "b".repeat(octets)).as_bytes())
                .boundary()
        };
        assert_eq!(boundary(BOUNDARY_LIMIT).map(|boundary| boundary.len()), Some(200));
        assert_eq!(boundary(BOUNDARY_LIMIT + 1), None);
    }
}
