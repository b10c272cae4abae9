//! Digest over real sockets: who has a password, and what it opens.

use crate::harness::password::{JOHN, Login, param};
use crate::harness::phone::message_to;
use crate::harness::{self, Line, Message, Phone, Server, http};

const DIGEST: &str = "auth.mode=digest";
const BOTH: &str = "auth.algorithms=[\"SHA-256\", \"MD5\"]";

fn guarded() -> Server {
    guarded_with(&[])
}

fn guarded_with(settings: &[&str]) -> Server {
    let server = Server::with(&[&[DIGEST, BOTH], settings].concat());
    for user in ["john", "alice"] {
        server.add_user(&format!("{user}@example.com"), "secret");
    }
    server
}

/// T24
#[test]
fn the_example_registers_are_challenged_and_answered_in_either_algorithm() {
    let server = guarded();
    let mut line = Line::udp(server.sip);
    let asked = line.request(&harness::example("060"));
    let challenges = asked.all("WWW-Authenticate");
    assert_eq!((asked.status(), challenges.len()), (401, 2), "{asked}");
    for (challenge, name) in challenges.iter().zip(["SHA-256", "MD5"]) {
        assert_eq!((param(challenge, "algorithm"), param(challenge, "realm")), (name, "example.com"));
        assert!(param(challenge, "qop").split(',').any(|qop| qop == "auth"), "{challenge}");
    }
    for (number, at, cseq) in [("062", 0, 2), ("063", 1, 3)] {
        let request =
            harness::example(number).without("Authorization").set("CSeq", &format!("{cseq} REGISTER"));
        let signed = JOHN.sign(&request, &asked, at, cseq);
        let answer = line.request(&signed);
        assert_eq!(answer.status(), 200, "{answer}");
        assert_eq!(answer.all("Contact").len(), 1, "060's contact was never stored: {answer}");
        let again = line.request(&signed.clone().set("CSeq", &format!("{} REGISTER", cseq + 10)));
        assert_eq!(again.status(), 401, "the same count again");
        assert_eq!(param(again.get("WWW-Authenticate"), "stale"), "true");
    }
    // With their own nonce, which no server but the example's made.
    let foreign = line.request(&harness::example("062").set("CSeq", "30 REGISTER"));
    assert_eq!((foreign.status(), param(foreign.get("WWW-Authenticate"), "stale")), (401, "true"));
}

#[test]
fn md5_is_neither_offered_nor_taken_unless_it_is_enabled() {
    let server = Server::with(&[DIGEST]);
    server.add_user("john@example.com", "secret");
    let mut line = Line::tcp(server.sip);
    let asked = line.request(&harness::example("060"));
    let [challenge] = asked.all("WWW-Authenticate")[..] else { panic!("{asked}") };
    let md5 = challenge.replace("SHA-256", "MD5");
    let signed =
        harness::example("060").with("Authorization", &JOHN.credentials(&harness::example("060"), &md5, 1));
    assert_eq!(line.request(&signed).status(), 401);
    assert_eq!(JOHN.ask(&mut line, &harness::example("060")).status(), 200);
}

/// john at a phone, and a MESSAGE of alice for him.
fn registered(server: &Server) -> (Phone, Message) {
    let phone = Phone::tcp("john");
    let answer = JOHN.ask(&mut Line::tcp(server.sip), &phone.register_request(&[]));
    assert_eq!(answer.status(), 200, "{answer}");
    let message =
        message_to("john").set("From", "<sip:alice@example.com>;tag=a1").body("text/plain", b"hello");
    (phone, message)
}

#[test]
fn a_message_of_a_proven_user_arrives_over_udp_and_tcp_and_without_its_credentials() {
    let server = guarded();
    let (mut phone, message) = registered(&server);
    let alice = Login { user: "alice", ..JOHN };
    for (at, mut line) in [Line::udp(server.sip), Line::tcp(server.sip)].into_iter().enumerate() {
        let message = message.clone().set("Call-ID", &format!("m{at}"));
        let asked = line.request(&message);
        assert_eq!(asked.status(), 407, "{asked}");
        line.send(&line.with_via(&alice.sign(&message, &asked, 0, 1)).octets());
        let got = phone.take();
        assert_eq!((got.header("Proxy-Authorization"), &got.body[..]), (None, &b"hello"[..]));
        assert_eq!(got.get("P-Asserted-Identity"), "<sip:alice@example.com>");
        assert_eq!(line.final_response().status(), 200);
        let as_john = Login { user: "john", ..JOHN }.sign(&message, &asked, 1, 2);
        assert_eq!(line.request(&as_john).status(), 403);
    }
}

#[test]
fn a_user_with_a_password_who_never_registered_is_480_and_anyone_else_404() {
    let server = guarded_with(&["offline.store=false"]);
    let mut line = Line::udp(server.sip);
    assert_eq!(line.request(&message_to("alice")).status(), 480);
    assert_eq!(line.request(&message_to("nobody")).status(), 404);
}

#[test]
fn users_come_and_go_while_the_server_runs() {
    let server = guarded();
    let mut line = Line::udp(server.sip);
    let ann = Login { user: "ann", password: "pencil" };
    let phone = Phone::udp("ann");
    let register = || phone.register_request(&[]);
    assert_eq!(ann.ask(&mut line, &register()).status(), 401);
    server.add_user("ann@example.com", "pencil");
    assert_eq!(ann.ask(&mut line, &register()).status(), 200);
    server.add_user("ann@example.com", "other");
    assert_eq!(ann.ask(&mut line, &register()).status(), 401);
    assert_eq!(Login { password: "other", ..ann }.ask(&mut line, &register()).status(), 200);
    let removed = server.user(&["remove", "ann@example.com"], "");
    assert!(removed.status.success(), "{removed:?}");
    assert_eq!(Login { password: "other", ..ann }.ask(&mut line, &register()).status(), 401);
}

#[test]
fn after_a_crash_passwords_hold_and_an_earlier_nonce_is_stale_and_not_replayed() {
    let mut server = guarded();
    let mut line = Line::tcp(server.sip);
    let request = Phone::tcp("john").register_request(&[]);
    let asked = line.request(&request);
    let signed = JOHN.sign(&request, &asked, 0, 1);
    assert_eq!(line.request(&signed).status(), 200);
    server.crash_and_restart();
    let mut line = Line::tcp(server.sip);
    let stale = line.request(&signed.set("CSeq", "2 REGISTER"));
    assert_eq!((stale.status(), param(stale.get("WWW-Authenticate"), "stale")), (401, "true"));
    let request = request.set("CSeq", "3 REGISTER");
    assert_eq!(line.request(&JOHN.sign(&request, &stale, 0, 1)).status(), 200);
}

#[test]
fn wrong_passwords_are_counted_logged_once_without_a_name_and_then_shut_out() {
    let mut server = Server::with(&[DIGEST, "auth.max_failures=4"]);
    server.add_user("john@example.com", "secret");
    let mut line = Line::udp(server.sip);
    let guess = Login { password: "guess", ..JOHN };
    let request = Phone::udp("john").register_request(&[]);
    for _ in 0..4 {
        assert_eq!(guess.ask(&mut line, &request).status(), 401);
    }
    let banned = line.request(&request);
    assert_eq!((banned.status(), banned.start.as_str()), (403, "SIP/2.0 403 Too Many Failures"));
    assert!(banned.get("Retry-After").parse::<u32>().unwrap() > 0);
    let metrics = http::fetch(server.admin, "GET", "/metrics", &[]);
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(text.contains("bespoke_authentications_total{result=\"wrong\"} 4"), "{text}");
    assert!(text.contains("bespoke_authentications_total{result=\"banned\"} 1"), "{text}");
    server.terminate();
    let log = server.log();
    assert_eq!(log.matches("wrong password or unknown user").count(), 1, "{log}");
    assert!(!log.contains("john"), "{log}");
}

#[test]
fn no_password_stands_in_the_log_or_on_disk() {
    let mut server = Server::with(&[DIGEST, BOTH, "log.level=trace"]);
    server.add_user("john@example.com", "correct-horse-battery");
    let login = Login { password: "correct-horse-battery", ..JOHN };
    assert_eq!(
        login.ask(&mut Line::udp(server.sip), &Phone::udp("john").register_request(&[])).status(),
        200
    );
    server.terminate();
    assert!(!server.log().contains("correct-horse"));
    let mut folders = vec![server.data_dir()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() {
                let octets = std::fs::read(&path).unwrap();
                assert!(!octets.windows(13).any(|window| window == b"correct-horse"), "{path:?}");
            }
        }
    }
}
