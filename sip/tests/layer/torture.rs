//! RFC 4475: all 49 messages, as datagrams, against what MANIFEST.tsv says the parser must make of them.

use sip::{Framed, HeaderId, Invalid, Kind, Limits, Message, ResponseBuilder, Verdict, frame};

use crate::data::{torture as read, torture_names};

fn datagram(file: &str) -> Result<Message, Invalid> {
    let limits = Limits::default();
    match frame::datagram(read(file).into(), &limits)? {
        Framed::Message(raw) => sip::validate(raw, &limits),
        keepalive => panic!("{keepalive:?}"),
    }
}

fn request(file: &str) -> sip::Request {
    match datagram(file) {
        Ok(Message::Request(request)) => request,
        other => panic!("{file}: {other:?}"),
    }
}

fn response(file: &str) -> sip::Response {
    match datagram(file) {
        Ok(Message::Response(response)) => response,
        other => panic!("{file}: {other:?}"),
    }
}

fn status(verdict: &Verdict) -> Option<u16> {
    match verdict {
        Verdict::Answer { status, .. } => Some(*status),
        _ => None,
    }
}

const ACCEPTED: &[&str] = &[
    "wsinv",
    "intmeth",
    "esc01",
    "escnull",
    "esc02",
    "lwsdisp",
    "longreq",
    "dblreq",
    "semiuri",
    "transports",
    "mpart01",
    "unreason",
    "noreason", // valid
    "baddate",  // only an element that needs the Date refuses it
    "badbranch",
    "unkscm",
    "novelsc",
    "unksm2",
    "bext01",
    "invut",
    "regaut01",
    "bcast",
    "zeromf",
    "cparam01",
    "cparam02",
    "regescrt",
    "sdp01",
    "inv2543", // decided above the parser
];

const REFUSED: &[(&str, Kind, u16)] = &[
    ("badinv01", Kind::Bad(HeaderId::Via), 400),
    ("clerr", Kind::BodyTruncated, 400),
    ("ncl", Kind::BadContentLength, 400),
    ("scalar02", Kind::Bad(HeaderId::CSeq), 400),
    ("quotbal", Kind::Bad(HeaderId::To), 400),
    ("ltgtruri", Kind::BadUri, 400),
    ("lwsruri", Kind::BadUri, 400),
    ("lwsstart", Kind::BadUri, 400),
    ("trws", Kind::BadStartLine, 400),
    ("escruri", Kind::UriHeaders, 400),
    ("regbadct", Kind::Bad(HeaderId::Contact), 400),
    ("badaspec", Kind::Bad(HeaderId::To), 400),
    ("baddn", Kind::Unterminated, 400),
    ("badvers", Kind::BadVersion, 505),
    ("mismatch01", Kind::MethodMismatch, 400),
    ("mismatch02", Kind::MethodMismatch, 400),
    ("insuf", Kind::Missing(HeaderId::From), 400),
    ("multi01", Kind::Repeated(HeaderId::CSeq), 400),
    ("mcl01", Kind::Repeated(HeaderId::ContentLength), 400),
];

const DISCARDED: &[(&str, Kind)] = &[("scalarlg", Kind::Bad(HeaderId::CSeq)), ("bigcode", Kind::BadStatus)];

#[test]
fn the_tables_name_every_file_once() {
    let files = torture_names();
    let mut named: Vec<&str> = ACCEPTED.to_vec();
    named.extend(REFUSED.iter().map(|(file, ..)| file));
    named.extend(DISCARDED.iter().map(|(file, _)| file));
    named.sort_unstable();
    assert_eq!(files, named);
    assert_eq!(files.len(), 49);
}

#[test]
fn what_the_parser_must_accept_is_accepted() {
    for file in ACCEPTED {
        assert!(datagram(file).is_ok(), "{file}: {:?}", datagram(file));
    }
}

#[test]
fn what_the_parser_must_refuse_gets_its_answer() {
    for (file, kind, code) in REFUSED {
        let invalid = datagram(file).expect_err(file);
        assert_eq!(invalid.kind, *kind, "{file}");
        assert_eq!(status(&invalid.verdict()), Some(*code), "{file}");
        let (status, reason) = kind.answer();
        let answer = ResponseBuilder::to_request(&invalid, status, &reason).encode();
        let limits = Limits::default();
        let Ok(Framed::Message(answer)) = frame::datagram(answer.to_bytes(), &limits) else {
            panic!("{file}: the answer can't be framed")
        };
        assert!(answer.is_response() && answer.header(HeaderId::Via).is_some(), "{file}");
    }
}

#[test]
fn a_broken_response_is_dropped() {
    for (file, kind) in DISCARDED {
        let invalid = datagram(file).expect_err(file);
        assert_eq!((invalid.kind, invalid.verdict()), (*kind, Verdict::Drop), "{file}");
    }
}

#[test]
fn wsinv_is_read_through_its_folds_and_compact_names() {
    let request = request("wsinv");
    assert_eq!(request.method(), sip::Method::Invite);
    assert_eq!(request.uri().param(b"unknownparam"), Some(&b""[..]));
    assert_eq!(request.to_tag(), Some(&b"1918181833n"[..]));
    assert_eq!(request.from_tag(), Some(&b"98asjd8"[..]));
    assert_eq!(request.from().display_name().as_deref(), Some(&br#"J Rosenberg \""#[..]));
    assert_eq!(request.max_forwards(), Some(68));
    assert_eq!(request.cseq(), sip::CSeq { number: 9, method: sip::Method::Invite });
    assert_eq!(request.top_via().transport(), b"UDP");
    assert_eq!(request.branch(), Some(&b"390skdjuw"[..]));
    let branches: Vec<_> = request.vias().map(|via| via.branch().unwrap().to_vec()).collect();
    assert_eq!(branches, [&b"390skdjuw"[..], b"z9hG4bK9ikj8", b"z9hG4bK30239"]);
    let contact: Vec<_> = request.contacts().collect();
    assert!(
        matches!(contact[..], [Ok(sip::Contact::Address(address))] if address.param(b"q") == Some(b"0.33"))
    );
    assert_eq!(request.header_named("unknownheaderwithunusualvalue"), Some(&b";;,,;;,;"[..]));
    assert_eq!(request.body().len(), 150);
}

#[test]
fn intmeth_keeps_every_unusual_octet() {
    let request = request("intmeth");
    assert_eq!(request.method().as_bytes(), b"!interesting-Method0123456789_*+`.%indeed'~");
    assert_eq!(request.uri().user(), Some(&b"1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"[..]));
    assert_eq!(request.uri().password(), Some(&b"&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"[..]));
    assert_eq!(request.to().display_name().as_deref(), Some(&b"BEL:\x07 NUL:\0 DEL:\x7f"[..]));
    assert_eq!(request.from_tag(), Some(&b"_token~1'+`*%!-."[..]));
    assert_eq!(request.call_id(), &br#"intmeth.word%ZK-!.*_+'@word`~)(><:\/"][?}{"#[..]);
    assert_eq!(request.max_forwards(), Some(255));
}

#[test]
fn escapes_are_compared_and_never_unescaped_for_routing() {
    let esc01 = request("esc01");
    assert_eq!(esc01.uri().user(), Some(&b"sips%3Auser%40example.com"[..]));
    assert_eq!(esc01.uri().host(), Some(sip::Host::Name(b"example.net")));
    assert!(esc01.to().uri().unwrap().equivalent(&"sip:user@example.com".parse().unwrap()));
    let esc02 = request("esc02");
    assert_eq!(esc02.method(), sip::Method::Other(b"RE%47IST%45R"));
    assert_eq!(esc02.contacts().count(), 2);
}

#[test]
fn escnull_has_two_contacts_that_differ() {
    let request = request("escnull");
    let users: Vec<String> = request
        .contacts()
        .map(|contact| match contact.unwrap() {
            sip::Contact::Address(address) => address.uri().unwrap().aor(),
            sip::Contact::Wildcard => panic!(),
        })
        .collect();
    assert_eq!(users, ["sip:%00@host5.example.com", "sip:%00%00@host5.example.com"]);
    assert_eq!(request.to().uri().unwrap().aor(), "sip:null-%00-null@example.com");
}

#[test]
fn octets_behind_the_first_request_of_a_datagram_are_ignored() {
    let request = request("dblreq");
    assert_eq!(request.method(), sip::Method::Register);
    assert_eq!(request.body().len(), 0);
    assert_eq!(request.raw().octets().len(), request.raw().head().len());
}

#[test]
fn a_semicolon_before_the_at_sign_belongs_to_the_user() {
    let uri = request("semiuri").uri();
    assert_eq!(uri.user(), Some(&b"user;par=u%40example.net"[..]));
    assert_eq!(uri.params().count(), 0);
}

#[test]
fn every_transport_of_transports_is_carried() {
    let request = request("transports");
    let transports: Vec<_> = request.vias().map(|via| via.transport().to_vec()).collect();
    assert_eq!(transports, [&b"UDP"[..], b"SCTP", b"TLS", b"UNKNOWN", b"TCP"]);
}

#[test]
fn longreq_has_34_vias_and_a_folded_contact() {
    let request = request("longreq");
    assert_eq!(request.vias().count(), 34);
    assert_eq!(request.top_via().sent_by(), "sip33.example.com");
    assert!(request.from_tag().unwrap().len() > 100);
}

#[test]
fn the_binary_body_of_mpart01_passes_octet_for_octet() {
    let file = read("mpart01");
    let request = request("mpart01");
    assert!(file.ends_with(&request.body()) && request.body().contains(&0));
}

#[test]
fn reason_phrases_may_be_utf8_or_empty() {
    assert!(std::str::from_utf8(response("unreason").reason()).unwrap().contains("простое"));
    let noreason = response("noreason");
    assert_eq!((noreason.status(), noreason.reason()), (100, &b""[..]));
}

#[test]
fn header_and_uri_parameters_of_a_contact_are_told_apart() {
    let contact = |file| {
        let request = request(file);
        let first = request.contacts().next().unwrap().unwrap();
        let sip::Contact::Address(address) = first else { panic!() };
        (address.param(b"unknownparam").is_some(), address.uri().unwrap().param(b"unknownparam").is_some())
    };
    assert_eq!(contact("cparam01"), (true, false));
    assert_eq!(contact("cparam02"), (false, true));
}

#[test]
fn the_escaped_route_of_regescrt_stays_in_the_uri() {
    let request = request("regescrt");
    let sip::Contact::Address(address) = request.contacts().next().unwrap().unwrap() else { panic!() };
    assert_eq!(address.uri().unwrap().headers(), Some(&b"Route=%3Csip:sip.example.com%3E"[..]));
}

#[test]
fn an_rfc_2543_request_has_no_branch_no_tag_and_no_hops() {
    let request = request("inv2543");
    assert_eq!((request.branch(), request.from_tag(), request.max_forwards()), (None, None, None));
    assert!(!request.body().is_empty());
    assert!(!self::request("badbranch").top_via().has_cookie());
}

#[test]
fn a_proxy_admits_by_scheme_hops_and_required_extensions() {
    assert_eq!(sip::admit(&request("unkscm"), &[]), Err(Kind::UnsupportedScheme));
    assert_eq!(sip::admit(&request("novelsc"), &[]), Err(Kind::UnsupportedScheme));
    assert_eq!(sip::admit(&request("zeromf"), &[]), Err(Kind::TooManyHops));
    assert_eq!(sip::admit(&request("bext01"), &[]), Err(Kind::UnsupportedExtension));
    let both = ["noproxiessupportthis", "norDoAnyProxiesSupportThis"];
    assert_eq!(sip::admit(&request("bext01"), &both), Ok(()));
    assert_eq!(sip::admit(&request("unksm2"), &[]), Ok(()));
    assert_eq!(Kind::UnsupportedScheme.answer().0, 416);
    assert_eq!(Kind::UnsupportedExtension.answer().0, 420);
    assert_eq!(Kind::TooManyHops.answer().0, 483);
}

#[test]
fn an_answer_to_a_request_without_from_to_and_call_id_has_what_there_is() {
    let invalid = datagram("insuf").unwrap_err();
    let answer = ResponseBuilder::to_request(&invalid, 400, "Missing From Header").encode();
    assert_eq!(
        &answer.head[..],
        b"SIP/2.0 400 Missing From Header\r\nCSeq: 193942 INVITE\r\nVia: SIP/2.0/UDP 192.0.2.95;branch=z9hG4bKkdj.insuf\r\n\
          Content-Length: 0\r\n\r\n"
    );
}

#[test]
fn on_a_stream_what_loses_the_framing_is_answered_and_closed() {
    for (file, closes) in
        [("ncl", true), ("mcl01", true), ("inv2543", true), ("insuf", false), ("trws", false)]
    {
        let limits = Limits::default();
        let mut framer = sip::StreamFramer::new(limits);
        framer.push(&read(file));
        let invalid = match framer.next() {
            Ok(Some(Framed::Message(raw))) => sip::validate(raw, &limits).expect_err(file),
            other => other.expect_err(file),
        };
        assert!(
            matches!(invalid.verdict(), Verdict::Answer { status: 400, close, .. } if close == closes),
            "{file}"
        );
    }
}

#[test]
fn every_torture_message_cut_anywhere_never_panics() {
    let limits = Limits::default();
    for file in ACCEPTED.iter().chain(REFUSED.iter().map(|(file, ..)| file)) {
        let octets = bytes::Bytes::from(read(file));
        for end in 0..octets.len().min(2000) {
            if let Ok(Framed::Message(raw)) = frame::datagram(octets.slice(..end), &limits)
                && let Err(invalid) = sip::validate(raw, &limits)
            {
                invalid.verdict();
            }
        }
    }
}
