//! The API of the operators for registrations.

use std::net::SocketAddr;

use crate::harness::{Message, Phone, Server, http};

fn ask(server: &Server, method: &str, path: &str) -> Message {
    let admin: SocketAddr = server.admin;
    http::fetch(admin, method, path, &[])
}

fn text(answer: &Message) -> String {
    String::from_utf8(answer.body.clone()).unwrap()
}

#[test]
fn bindings_are_listed_by_user_and_page_by_page() {
    let server = Server::start();
    for user in ["carol", "ann", "bob"] {
        Phone::udp(user).register(&server, &[("Accept", "image/gif;media-pix-x=max+160")]);
    }
    let ann = ask(&server, "GET", "/api/v1/bindings?aor=ann%40example.com");
    assert_eq!(ann.status(), 200, "{ann}");
    let shown = text(&ann);
    for part in
        ["\"aor\":\"sip:ann@example.com\"", "\"contact\":\"sip:ann@127.0.0.1:", "\"image/gif\"", "\"cseq\":1"]
    {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let first = text(&ask(&server, "GET", "/api/v1/bindings?limit=2"));
    assert!(first.contains("ann@") && first.contains("bob@") && !first.contains("carol@"), "{first}");
    assert!(first.contains("\"next\":\"sip:bob@example.com\""), "{first}");
    let second = text(&ask(&server, "GET", "/api/v1/bindings?limit=2&after=sip:bob%40example.com"));
    assert!(
        second.contains("carol@") && !second.contains("bob@") && second.contains("\"next\":null"),
        "{second}"
    );
}

#[test]
fn bindings_are_ended_one_by_one_and_all_together() {
    let server = Server::start();
    let (one, two) = (Phone::udp("john"), Phone::udp("john"));
    one.register(&server, &[]);
    two.register(&server, &[]);
    let contact = one.uri().replace(':', "%3A").replace('@', "%40");
    let path = format!("/api/v1/bindings/john%40example.com/{contact}");
    let gone = ask(&server, "DELETE", &path);
    assert_eq!((gone.status(), text(&gone).trim()), (200, "{\"removed\":1}"));
    let again = ask(&server, "DELETE", &path);
    assert_eq!((again.status(), again.get("Content-Type")), (404, "application/problem+json"));
    let left = text(&ask(&server, "GET", "/api/v1/bindings?aor=john@example.com"));
    assert!(left.contains(&two.uri()) && !left.contains(&one.uri()), "{left}");
    let all = ask(&server, "DELETE", "/api/v1/bindings/sip:john@example.com?event=rejected");
    assert_eq!(all.status(), 200);
    let none = text(&ask(&server, "GET", "/api/v1/bindings?aor=john@example.com"));
    assert!(none.contains("\"bindings\":[]"), "{none}");
}

#[test]
fn what_the_api_does_not_understand_is_a_problem_document() {
    let server = Server::start();
    for (method, path, status) in [
        ("GET", "/api/v1/bindings?aor=nobody@example.com", 404),
        ("GET", "/api/v1/bindings?aor=example.com", 400),
        ("GET", "/api/v1/bindings?limit=0", 400),
        ("GET", "/api/v1/bindings?limit=1001", 400),
        ("DELETE", "/api/v1/bindings/john@example.com?event=nonsense", 400),
        ("DELETE", "/api/v1/bindings/nobody@example.com", 404),
        ("GET", "/api/v1/nonsense", 404),
    ] {
        let answer = ask(&server, method, path);
        assert_eq!(
            (answer.status(), answer.get("Content-Type")),
            (status, "application/problem+json"),
            "{path}"
        );
    }
}
