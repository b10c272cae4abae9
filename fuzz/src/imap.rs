//! Replies of an IMAP server: whatever comes, bounded work and an end.

use lemonade::{Limits, Login, Session, Step, Want};

const LIMITS: Limits = Limits { line: 4096, literals: 64 << 10, count: 8 };

/// The first octet says how the rest is cut, the second what kind of session hears it.
pub fn run(data: &[u8]) {
    let [cut, kind, replies @ ..] = data else { return };
    let login = match kind & 1 {
        0 => Login::Anonymous("a@b".to_owned()),
        _ => Login::User { name: "n".to_owned(), password: "p".to_owned(), in_clear: kind & 2 != 0 },
    };
    let want = [Want::Nothing, Want::IfOffered, Want::Always][usize::from(kind >> 2) % 3];
    let mut session = Session::new(login, want, kind & 0x40 != 0, LIMITS);
    let mut asked = false;
    for piece in replies.chunks(usize::from(*cut).max(1)) {
        session.receive(piece);
        // A reply of every four octets at most, and a step for each.
        for _ in 0..piece.len() + 16 {
            match session.step() {
                Ok(Step::Send(octets)) => assert!(octets.ends_with(b"\r\n")),
                Ok(Step::Secure) => session.secured(),
                Ok(Step::Wait) => break,
                Ok(Step::Ready) if asked => break,
                Ok(Step::Ready) => {
                    asked = true;
                    session
                        .fetch("imap://h/i/;uid=1", kind & 0x80 != 0)
                        .expect("a session that is ready takes a URL");
                }
                Ok(Step::Done(fetched)) => {
                    if let lemonade::Fetched::Part(part) = fetched {
                        assert!(
                            !part.octets.is_empty() && part.octets.len() <= LIMITS.literals + LIMITS.line
                        );
                    }
                }
                Err(error) if error.is_refusal() => {}
                Err(_) => return,
            }
        }
    }
}
