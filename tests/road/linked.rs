//! What goes out as a link, and what the link serves.

use crate::harness::http::get;
use crate::harness::picture::{Picture, picture};
use crate::harness::{self, Message, Phone, Server};
use crate::{SUNSET_SHA1, deliver, example_to, param, parts, refusal_of, sha1, url_of};

/// T6
#[test]
fn a_phone_that_knows_only_text_gets_the_link_as_text() {
    let server = Server::start();
    let received = example_to(&server, &[("Accept", "text/plain")], "020");
    assert!(received.get("Content-Type").starts_with("text/plain"), "{received}");
    let text = String::from_utf8(received.body.clone()).unwrap();
    assert!(text.contains("image/gif") && text.contains("Sunset"), "{text}");
    let url = text.split_whitespace().find(|word| word.starts_with("http://")).expect("a URL").to_owned();
    assert_eq!(sha1(&get(server.http, &url, &[]).body), SUNSET_SHA1);
}

/// T6 with the store switched off
#[test]
fn without_a_store_a_phone_that_knows_only_text_means_415_with_the_types_it_takes() {
    let server = Server::with(&["content.store=off"]);
    let answer = refusal_of(&server, &[("Accept", "text/plain")], "020");
    assert_eq!(answer.status(), 415, "{answer}");
    assert_eq!(answer.get("Accept"), "text/plain");
    assert!(answer.get("Warning").starts_with("399 "), "{answer}");
}

/// T7
#[test]
fn a_link_serves_the_original_and_the_fitted_picture() {
    let server = Server::start();
    let accept = "text/plain, message/external-body, image/gif;length=max+0";
    let received = example_to(&server, &[("Accept", accept)], "020");

    let kind = received.get("Content-Type");
    assert!(kind.starts_with("message/external-body"), "{received}");
    assert!(param(kind, "access-type").unwrap().eq_ignore_ascii_case("URL"));
    assert_eq!(param(kind, "size"), Some("3073"));
    assert_eq!(param(kind, "hash"), None, "the store adapts at each fetch");
    assert!(param(kind, "expiration").unwrap().ends_with(" GMT"));
    let inner = inner(&received);
    assert_eq!(inner.get("Content-Type"), "image/gif");
    assert_eq!(inner.get("Content-Disposition"), "render");
    assert!(inner.get("Content-ID").starts_with('<'));
    assert!(received.get("Content-Adapted").contains("ops=\"indirect\""), "{received}");

    let url = url_of(kind);
    assert!(!url.contains("john") && !url.contains("alice"), "no user name in {url}");
    let original = get(server.http, &url, &[]);
    assert_eq!((original.status(), sha1(&original.body)), (200, SUNSET_SHA1.to_owned()));
    assert_eq!(original.get("X-Content-Type-Options"), "nosniff");

    let asked = harness::example("025");
    let fitted =
        get(server.http, &url, &[("Accept", asked.get("Accept")), ("User-Agent", asked.get("User-Agent"))]);
    assert_eq!(picture(&fitted.body), Picture { kind: "image/gif", width: 158, height: 119 });
    assert!(fitted.get("Content-Adapted").contains("ops=\"scale\""), "{fitted}");

    let impossible = get(server.http, &url, &[("Accept", "audio/amr")]);
    assert_eq!(impossible.status(), 406);
    assert!(impossible.get("Content-Type").starts_with("application/problem+json"), "{impossible}");
    assert_eq!(get(server.http, "http://h/c/AAAAAAAAAAAAAAAAAAAAAA", &[]).status(), 404);
    assert_eq!(
        harness::http::fetch(server.http, "DELETE", &format!("/{}", url.splitn(4, '/').nth(3).unwrap()), &[])
            .status(),
        405
    );
}

/// CPI.md C3
#[test]
fn a_phone_of_which_nothing_is_known_gets_both_kinds_of_links() {
    let server = Server::with(&["cpi.unknown=indirect"]);
    let received = example_to(&server, &[], "020");
    assert!(received.get("Content-Type").starts_with("multipart/alternative"), "{received}");
    let both = parts(&received);
    assert!(both[0].get("Content-Type").starts_with("text/plain"), "the plainest first");
    let url = url_of(both[1].get("Content-Type"));
    assert!(String::from_utf8_lossy(&both[0].body).ends_with(&url), "{received}");
    assert_eq!(both.len(), 2);
    assert_eq!(sha1(&get(server.http, &url, &[]).body), SUNSET_SHA1);
}

/// T9
#[test]
fn a_link_to_what_must_not_be_transformed_has_a_hash_and_serves_identical_octets() {
    let server = Server::start();
    let accept = "image/gif;media-pix-x=max+160, message/external-body";
    let received = example_to(&server, &[("Accept", accept)], "031");
    let kind = received.get("Content-Type");
    assert_eq!(param(kind, "size"), Some("3073"));
    assert_eq!(param(kind, "hash"), Some(SUNSET_SHA1));
    let url = url_of(kind);
    for accept in ["image/gif;media-pix-x=max+16", "image/gif", "*/*"] {
        assert_eq!(sha1(&get(server.http, &url, &[("Accept", accept)]).body), SUNSET_SHA1, "{accept}");
    }
}

/// T10
#[test]
fn signed_and_encrypted_bodies_that_are_too_big_become_one_link_to_all_of_their_octets() {
    let limits = ("Accept-Encoding", "identity;length=max+1024");
    let accept =
        ("Accept", "message/external-body, multipart/signed, application/pkcs7-mime, image/gif, text/plain");
    for (number, size, hash, kinds) in [
        (
            "032",
            "2465",
            "c974e61fd29c11beba657f9ef85bf6a1ed61dc2e",
            vec!["multipart/signed", "boundary=sg032"],
        ),
        (
            "033",
            "2048",
            "fa23edc0c02599f17f2e4a86be1c93765c88cf61",
            vec!["application/pkcs7-mime", "smime-type=enveloped-data", "name=smime.p7m"],
        ),
    ] {
        let server = Server::start();
        let received = example_to(&server, &[limits, accept], number);
        let kind = received.get("Content-Type");
        assert!(kind.starts_with("message/external-body"), "{number}: {received}");
        assert_eq!((param(kind, "size"), param(kind, "hash")), (Some(size), Some(hash)), "{number}");
        let inner = inner(&received).get("Content-Type").replace('"', "");
        for piece in kinds {
            assert!(inner.contains(piece), "{number}: {piece} in {inner}");
        }
        let url = url_of(kind);
        assert_eq!(sha1(&get(server.http, &url, &[("Accept", "image/png")]).body), hash, "{number}");
    }
}

/// T10 without external-body
#[test]
fn a_signed_body_that_is_too_big_and_cannot_be_linked_is_413() {
    let server = Server::start();
    let lines = [
        ("Accept-Encoding", "identity;length=max+1024"),
        ("Accept", "multipart/signed, application/pkcs7-mime, image/gif, text/plain;q=0"),
    ];
    let answer = refusal_of(&server, &lines, "032");
    assert_eq!(answer.status(), 413, "{answer}");
    assert!(answer.get("Warning").starts_with("399 "), "{answer}");
}

#[test]
fn a_link_outlives_a_crash() {
    let mut server = Server::start();
    let mut phone = Phone::tcp("john");
    phone.register(&server, &[("Accept", "message/external-body, image/gif;length=max+0")]);
    let (received, _) = deliver(&server, &mut phone, &harness::example("020"));
    server.crash_and_restart();
    let original = get(server.http, &url_of(received.get("Content-Type")), &[]);
    assert_eq!(sha1(&original.body), SUNSET_SHA1);
}

/// The header block inside an external-body.
fn inner(message: &Message) -> Message {
    Message::parse(&[b"INNER\r\n", &message.body[..]].concat())
}
