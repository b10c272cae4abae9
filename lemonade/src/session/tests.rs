use super::*;

const USER: &str = "mediasrv";

fn user(in_clear: bool) -> Login {
    Login::User { name: USER.into(), password: "media\"pw".into(), in_clear }
}

fn anonymous() -> Login {
    Login::Anonymous("annc@example.com".into())
}

fn session(login: Login, want: Want, secure: bool) -> Session {
    Session::new(login, want, secure, Limits::default())
}

/// Says something, and gives what the session sends next.
fn tell(session: &mut Session, said: &str) -> String {
    session.receive(said.as_bytes());
    sent(session)
}

fn sent(session: &mut Session) -> String {
    match session.step().unwrap() {
        Step::Send(octets) => String::from_utf8(octets).unwrap(),
        step => panic!("{step:?}"),
    }
}

fn fault(session: &mut Session, said: &str) -> FetchError {
    session.receive(said.as_bytes());
    session.step().unwrap_err()
}

/// A session that is ready, with URLAUTH=BINARY or URLAUTH alone.
fn ready(capabilities: &str) -> Session {
    let mut session = session(anonymous(), Want::Nothing, false);
    let login = tell(&mut session, "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=ANONYMOUS] hi\r\n");
    assert_eq!(login, "a1 AUTHENTICATE ANONYMOUS YW5uY0BleGFtcGxlLmNvbQ==\r\n");
    session.receive(format!("a1 OK [CAPABILITY {capabilities}] in\r\n").as_bytes());
    assert!(matches!(session.step(), Ok(Step::Ready)));
    session
}

fn fetch(binary: bool, reply: &str) -> Result<Step, FetchError> {
    let mut session = ready("IMAP4rev1 URLAUTH URLAUTH=BINARY");
    session.fetch("imap://x", binary).unwrap();
    sent(&mut session);
    session.receive(reply.as_bytes());
    session.step()
}

#[test]
fn without_anonymous_sasl_the_login_is_anonymous() {
    let mut session = session(anonymous(), Want::Nothing, false);
    assert_eq!(tell(&mut session, "* OK hi\r\n"), "a1 CAPABILITY\r\n");
    let login = tell(&mut session, "* CAPABILITY IMAP4rev1\r\na1 OK\r\n");
    assert_eq!(login, "a2 LOGIN anonymous \"annc@example.com\"\r\n");
    assert_eq!(tell(&mut session, "a2 OK\r\n"), "a3 CAPABILITY\r\n");
    session.receive(b"* CAPABILITY IMAP4rev1 URLAUTH\r\na3 OK\r\n");
    assert!(matches!(session.step(), Ok(Step::Ready)));
    assert!(!session.capabilities().binary);
}

#[test]
fn a_password_goes_over_tls_or_where_it_is_said_that_it_may() {
    let greeting = "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi\r\n";
    let mut clear = session(user(false), Want::IfOffered, false);
    assert!(matches!(fault(&mut clear, greeting), FetchError::InClear));
    let plain = "a1 AUTHENTICATE PLAIN AG1lZGlhc3J2AG1lZGlhInB3\r\n";
    assert_eq!(tell(&mut session(user(true), Want::IfOffered, false), greeting), plain);
    assert_eq!(tell(&mut session(user(false), Want::Nothing, true), greeting), plain);
}

#[test]
fn without_an_initial_response_the_server_is_waited_for() {
    let mut session = session(user(true), Want::Nothing, false);
    let command = tell(&mut session, "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\r\n");
    assert_eq!(command, "a1 AUTHENTICATE PLAIN\r\n");
    assert_eq!(tell(&mut session, "+ \r\n"), "AG1lZGlhc3J2AG1lZGlhInB3\r\n");
    assert!(matches!(fault(&mut session, "+ \r\n"), FetchError::Unexpected), "it is asked for once");
}

#[test]
fn without_sasl_the_name_and_password_are_quoted() {
    let mut session = session(user(true), Want::Nothing, false);
    let command = tell(&mut session, "* OK [CAPABILITY IMAP4rev1] hi\r\n");
    assert_eq!(command, "a1 LOGIN \"mediasrv\" \"media\\\"pw\"\r\n");
    assert!(matches!(fault(&mut session, "a1 NO no\r\n"), FetchError::Login));
}

#[test]
fn starttls_comes_first_and_what_was_said_before_it_counts_no_more() {
    let mut session = session(user(false), Want::Always, false);
    let greeting = "* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] hi\r\n";
    assert_eq!(tell(&mut session, greeting), "a1 STARTTLS\r\n");
    session.receive(b"a1 OK go\r\n");
    assert!(matches!(session.step(), Ok(Step::Secure)));
    session.secured();
    assert_eq!(sent(&mut session), "a2 CAPABILITY\r\n");
    let login = tell(&mut session, "* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\r\na2 OK\r\n");
    assert!(login.starts_with("a3 AUTHENTICATE PLAIN "), "{login}");
}

#[test]
fn what_is_put_in_clear_before_tls_ends_the_session() {
    let mut session = session(user(false), Want::Always, false);
    tell(&mut session, "* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n");
    assert!(matches!(fault(&mut session, "a1 OK go\r\n* CAPABILITY X\r\n"), FetchError::Injected));
}

#[test]
fn tls_that_is_required_and_not_there_is_not_done_without() {
    for greeting in ["* OK [CAPABILITY IMAP4rev1] hi\r\n", "* PREAUTH [CAPABILITY IMAP4rev1 URLAUTH] hi\r\n"]
    {
        let mut session = session(user(true), Want::Always, false);
        assert!(matches!(fault(&mut session, greeting), FetchError::NoTls), "{greeting}");
    }
    let mut refused = session(user(false), Want::IfOffered, false);
    tell(&mut refused, "* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n");
    assert!(matches!(fault(&mut refused, "a1 NO\r\n"), FetchError::NoTls));
}

#[test]
fn a_server_without_urlauth_is_of_no_use() {
    let mut session = session(anonymous(), Want::Nothing, false);
    tell(&mut session, "* OK [CAPABILITY IMAP4rev1 AUTH=ANONYMOUS SASL-IR] hi\r\n");
    assert!(matches!(fault(&mut session, "a1 OK [CAPABILITY IMAP4rev1]\r\n"), FetchError::NoUrlAuth));
}

#[test]
fn a_url_is_asked_for_with_and_without_binary() {
    let mut session = ready("URLAUTH=BINARY");
    session.fetch("imap://x\"", true).unwrap();
    assert_eq!(sent(&mut session), "a2 URLFETCH (\"imap://x\\\"\" BODYPARTSTRUCTURE BINARY)\r\n");
    let mut session = ready("URLAUTH");
    session.fetch("imap://x", false).unwrap();
    assert_eq!(sent(&mut session), "a2 URLFETCH \"imap://x\"\r\n");
    assert!(session.fetch("imap://x", false).is_err(), "one at a time");
    assert!(ready("URLAUTH").fetch("a\r\nb", false).is_err());
}

#[test]
fn the_part_comes_with_other_lines_around_it() {
    let step =
        fetch(true, "* 3 EXISTS\r\n* URLFETCH imap://x (BINARY ~{3}\r\na\0b)\r\n* OK x\r\na2 OK done\r\n");
    let Ok(Step::Done(Fetched::Part(part))) = step else { panic!("{step:?}") };
    assert!(part.is_decoded && part.octets == b"a\0b");
}

#[test]
fn nil_is_a_refusal_and_its_reason_holds_no_token() {
    let no =
        "* NO Failed to fetch URLAUTH \"imap://x;urlauth=anonymous:internal:123\": URLAUTH has expired.\r\n";
    for reply in [format!("* URLFETCH imap://x NIL\r\n{no}a2 OK\r\n"), format!("{no}a2 BAD no\r\n")] {
        match fetch(true, &reply) {
            Err(FetchError::Refused(reason)) => assert_eq!(reason.as_deref(), Some("URLAUTH has expired")),
            other => panic!("{other:?}"),
        }
    }
    let bare = "* NO imap://x;urlauth=anonymous:internal:123\r\na2 OK\r\n";
    assert!(matches!(fetch(true, bare), Err(FetchError::Refused(None))));
}

#[test]
fn an_empty_part_without_the_end_of_its_line_is_not_there() {
    let step = fetch(false, "* URLFETCH imap://x {0}\r\na2 OK done\r\n");
    assert!(matches!(step, Err(FetchError::Empty)), "{step:?}");
}

#[test]
fn after_a_refusal_the_session_takes_another_url() {
    let mut session = ready("URLAUTH");
    session.fetch("imap://x", false).unwrap();
    sent(&mut session);
    assert!(fault(&mut session, "* URLFETCH imap://x NIL\r\na2 OK\r\n").is_refusal());
    session.fetch("imap://y", false).unwrap();
    assert_eq!(sent(&mut session), "a3 URLFETCH \"imap://y\"\r\n");
}

#[test]
fn what_goes_wrong_at_the_server_is_told_apart() {
    assert!(matches!(fetch(true, "a2 NO not now\r\n"), Err(FetchError::Failed)));
    assert!(matches!(fetch(true, "* BYE\r\n"), Err(FetchError::Closed)));
    assert!(matches!(fetch(true, "* URLFETCH x {2147483648}\r\n"), Err(FetchError::Reply(_))));
    let mut failed = ready("URLAUTH");
    failed.fetch("imap://x", false).unwrap();
    sent(&mut failed);
    fault(&mut failed, "* BYE\r\n");
    assert!(matches!(fault(&mut failed, "* OK\r\n"), FetchError::Closed), "it stays over");
    assert!(matches!(
        fault(&mut session(anonymous(), Want::Nothing, false), "* BYE\r\n"),
        FetchError::Closed
    ));
    let smtp = "220 mail ESMTP\r\n";
    assert!(matches!(fault(&mut session(anonymous(), Want::Nothing, false), smtp), FetchError::Unexpected));
}
