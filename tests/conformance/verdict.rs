//! What becomes of one message, sent as it is to a running server over UDP and over TCP.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};

use crate::harness::message::{Message, take_message};
use crate::harness::{PATIENCE, Phone, Server, phone};

/// Domains of the server under test: those that the torture messages are for.
const DOMAINS: &str = "domain=[\"example.com\", \"example.net\", \"example.org\", \"chair-dnrc.example.com\", \
    \"services.example.com\", \"registrar.example.com\", \"[2001:db8::10]\"]";

/// What must come of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// It reaches the phone that is registered for it, whose 200 comes back.
    Delivered,
    /// This answer.
    Answer(u16, &'static str),
    /// This answer, and the connection is closed behind it.
    AnswerAndClose(u16, &'static str),
    /// No answer; what follows is served.
    Silence,
    /// This answer once the sender sends no more: the rest of it was awaited till then.
    AnswerAtEnd(u16, &'static str),
}

/// One message and its verdicts.
pub(crate) struct Case {
    pub(crate) octets: Vec<u8>,
    /// The AOR for which a phone is registered.
    pub(crate) user: Option<&'static str>,
    pub(crate) udp: Verdict,
    pub(crate) tcp: Verdict,
}

impl Case {
    /// Sends the message over both, each to a server that knows nothing of the other.
    pub(crate) fn check(&self) {
        self.check_over("UDP", self.udp);
        self.check_over("TCP", self.tcp);
    }

    pub(crate) fn check_over(&self, transport: &str, verdict: Verdict) {
        let server = Server::with(&[DOMAINS]);
        let mut phone = self.user.map(|user| registered(&server, user));
        let (answer, closed) = match transport {
            "UDP" => (self.over_udp(&server, phone.as_mut(), verdict), false),
            _ => self.over_tcp(&server, phone.as_mut(), verdict),
        };
        let seen = answer.as_ref().map(|answer| answer.start.clone());
        let expected = match verdict {
            Verdict::Delivered => (Some("SIP/2.0 200 OK".to_owned()), false),
            Verdict::Answer(status, reason) => (Some(format!("SIP/2.0 {status} {reason}")), false),
            Verdict::AnswerAndClose(status, reason) | Verdict::AnswerAtEnd(status, reason) => {
                (Some(format!("SIP/2.0 {status} {reason}")), transport == "TCP")
            }
            Verdict::Silence => (None, false),
        };
        assert_eq!((seen, closed), expected, "{transport}");
        if let Some(phone) = phone.filter(|_| verdict != Verdict::Delivered) {
            assert!(!phone.has_more(), "{transport}: the phone got it");
        }
    }

    /// Answers without `rport` go to the port that the top Via names, so the message is sent from there, and from an
    /// address of the loopback that nobody else has.
    fn over_udp(&self, server: &Server, phone: Option<&mut Phone>, verdict: Verdict) -> Option<Message> {
        let socket = UdpSocket::bind(own_address(via_port(&self.octets))).expect("an address of our own");
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.connect(server.sip).unwrap();
        socket.send(&self.octets).unwrap();
        deliver(phone, verdict, &self.octets);
        if verdict == Verdict::Silence {
            socket.send(&probe(socket.local_addr().unwrap(), "UDP").octets()).unwrap();
        }
        loop {
            let mut buffer = vec![0; 65_536];
            let length = socket.recv(&mut buffer).expect("an answer in time");
            if let Some(answer) = self.judged(Message::parse(&buffer[..length])) {
                return answer;
            }
        }
    }

    /// The answer, and whether the connection was closed: behind the answer nothing else may have been served.
    fn over_tcp(
        &self,
        server: &Server,
        phone: Option<&mut Phone>,
        verdict: Verdict,
    ) -> (Option<Message>, bool) {
        let mut stream = TcpStream::connect(server.sip).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&self.octets).unwrap();
        deliver(phone, verdict, &self.octets);
        let probe = probe(stream.local_addr().unwrap(), "TCP").octets();
        match verdict {
            Verdict::AnswerAtEnd(..) => stream.shutdown(Shutdown::Write).unwrap(),
            Verdict::Silence => stream.write_all(&probe).unwrap(),
            _ => {}
        }
        let mut pending = Vec::new();
        let found = match self.next(&mut stream, &mut pending) {
            None => return (None, true),
            Some(None) => return (None, false),
            found => found.flatten(),
        };
        // The connection may be closed already.
        let _ = stream.write_all(&probe);
        (found, self.next(&mut stream, &mut pending).is_none())
    }

    /// The next final answer, as [`Case::judged`] has it; `None` at the connection's end.
    fn next(&self, stream: &mut TcpStream, pending: &mut Vec<u8>) -> Option<Option<Message>> {
        loop {
            while let Some(octets) = take_message(pending) {
                if let Some(answer) = self.judged(Message::parse(&octets)) {
                    return Some(answer);
                }
            }
            let mut buffer = [0; 65_536];
            let length = stream.read(&mut buffer).ok().filter(|&length| length > 0)?;
            pending.extend(&buffer[..length]);
        }
    }

    /// A final answer to the message under test; `Some(None)` if it is the answer to the probe. What stands behind
    /// the message may be answered too.
    fn judged(&self, answer: Message) -> Option<Option<Message>> {
        if answer.header("Call-ID").is_some_and(|id| id == "probe") {
            return Some(None);
        }
        let text = String::from_utf8_lossy(&self.octets);
        let method = answer.header("CSeq").and_then(|cseq| cseq.rsplit(' ').next()).unwrap_or_default();
        let asked = text.split("\r\n\r\n").next().is_some_and(|head| head.contains(method));
        (asked && answer.status() >= 200).then_some(Some(answer))
    }
}

/// A test of RFC 4475 or RFC 5118, by the message's name.
macro_rules! verdicts {
    ($read:path; $($name:ident $file:literal $user:expr, $udp:expr, $tcp:expr;)*) => {
        $(
            #[test]
            fn $name() {
                $crate::verdict::Case { octets: $read($file), user: $user, udp: $udp, tcp: $tcp }.check();
            }
        )*
    };
}
pub(crate) use verdicts;

/// What is sent behind a message that must not be answered: only its answer may come.
fn probe(from: SocketAddr, transport: &str) -> Message {
    Message::new("OPTIONS sip:example.com SIP/2.0")
        .with("Via", &format!("SIP/2.0/{transport} {from};branch=z9hG4bKprobe;rport"))
        .with("Max-Forwards", "70")
        .with("From", "<sip:probe@example.com>;tag=probe")
        .with("To", "<sip:example.com>")
        .with("Call-ID", "probe")
        .with("CSeq", "1 OPTIONS")
}

fn registered(server: &Server, aor: &str) -> Phone {
    let phone = Phone::tcp("phone");
    let domain = aor.rsplit_once('@').map_or(aor, |(_, domain)| domain);
    let mut request =
        phone.register_request(&[]).set("To", &format!("<{aor}>")).set("From", &format!("<{aor}>;tag=p"));
    request.start = format!("REGISTER sip:{domain} SIP/2.0");
    let answer = crate::harness::Line::tcp(server.sip).request(&request);
    assert_eq!(answer.status(), 200, "{answer}");
    phone
}

/// The phone takes the message, with the body that was sent.
fn deliver(phone: Option<&mut Phone>, verdict: Verdict, octets: &[u8]) {
    if let (Some(phone), Verdict::Delivered) = (phone, verdict) {
        let request = phone.take();
        assert!(octets.ends_with(&request.body), "the body is another");
    }
}

/// The port of the topmost Via, 5060 if it names none.
fn via_port(octets: &[u8]) -> u16 {
    let text = String::from_utf8_lossy(octets).replace("\r\n ", " ").replace("\r\n\t", " ");
    let via = text.split("\r\n").find(|line| {
        line.split_once(':')
            .is_some_and(|(name, _)| matches!(&*name.trim().to_ascii_lowercase(), "via" | "v"))
    });
    let sent_by = via.and_then(|via| via.split(';').next()).unwrap_or_default();
    sent_by.rsplit_once(':').and_then(|(_, port)| port.trim().parse().ok()).unwrap_or(5060)
}

/// An address of the loopback that no other test has, of this process or another.
fn own_address(port: u16) -> SocketAddr {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let [_, _, _, own] = phone::serial().to_be_bytes();
    SocketAddr::from(([127, 64 + high % 64, low, own], port))
}
