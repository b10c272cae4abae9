//! Parts of a stored multipart under its own link: `/c/{token}/1.2`. A terminal that takes no multipart gets the root
//! document with its references turned to these (CPI.md §3.5, 030).

use adapter::mime::{Shape, TransferEncoding, Tree};
use adapter::{Entity, Guards};

/// Letters of the longest path: eight levels of three digits.
pub(crate) const LONGEST: usize = 31;

/// Whether it can be a part's path, as [`Tree::path`] writes it.
pub(super) fn is_path(text: &str) -> bool {
    text.len() <= LONGEST
        && text.split('.').all(|step| !step.is_empty() && step.bytes().all(|b| b.is_ascii_digit()))
}

/// The part at `path` with its fields, its transfer encoding taken off; `None`: there is none, or it is a container.
pub(super) fn of(whole: &Entity, path: &str, guards: &Guards) -> Option<Entity> {
    let tree = Tree::read(whole, guards);
    let (id, node) = tree.nodes().find(|(id, _)| tree.path(*id) == path)?;
    if node.parent.is_none() || matches!(node.shape, Shape::Multipart { .. }) {
        return None;
    }
    let encoded = node.transfer_encoding() != TransferEncoding::Identity;
    let content = tree.content(id)?;
    let describes = |name: &[u8]| {
        let encoding = name.eq_ignore_ascii_case(b"content-transfer-encoding");
        Entity::describes(name) && !(encoded && encoding)
    };
    let fields = node.fields.iter().filter(|field| describes(&field.name)).cloned().collect();
    Some(Entity { fields, body: content })
}

#[cfg(test)]
mod tests {
    use adapter::Field;

    use super::*;

    #[test]
    fn a_part_is_found_by_its_path_and_a_container_is_none() {
        let body = "--b\r\nContent-Type: text/plain\r\n\r\nHello\r\n--b\r\nContent-Type: image/gif\r\n\
                    Content-Transfer-Encoding: base64\r\n\r\nR0lG\r\n--b--\r\n";
        let fields = vec![Field::new("Content-Type", "multipart/mixed; boundary=b")];
        let whole = Entity { fields, body: body.into() };
        let of = |path| of(&whole, path, &Guards::default());
        assert_eq!(&*of("1.1").unwrap().body, b"Hello");
        let picture = of("1.2").unwrap();
        assert_eq!((&*picture.body, picture.fields.len()), (&b"GIF"[..], 1));
        for none in ["1", "2", "1.3", "1.2.1", ""] {
            assert!(of(none).is_none(), "{none}");
        }
    }

    #[test]
    fn a_path_is_numbers_with_dots() {
        assert!(is_path("1.2.128") && is_path("1"));
        for wrong in ["", ".", "1.", "1..2", "..", "1/2", "a", &"1.".repeat(20)] {
            assert!(!is_path(wrong), "{wrong}");
        }
    }
}
