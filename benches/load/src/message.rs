//! The few messages this program sends, and what it reads of those it gets.

use std::net::SocketAddr;

use crate::Kind;
use crate::line::Transport;

/// 640x480 pixels, 40 KB.
const PHOTO: &[u8] = include_bytes!("../../../tests/data/images/life_640x480.jpg");

const TEXT: &[u8] =
    b"Watson, come here. 01234567890123456789012345678901234567890123456789012345678901234567890";

/// What a branch of ours begins with; the number of its request follows.
const BRANCH: &str = "z9hG4bKload";

/// What is the same in all messages of one run.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) domain: String,
    pub(crate) transport: Transport,
    /// Tells this run's Call-IDs from those of others.
    pub(crate) run: u64,
}

impl Script {
    /// A REGISTER of `user` at `contact`. Users differ in what they can show: 2,000 different screens.
    pub(crate) fn register(&self, number: u64, user: u32, line: SocketAddr, contact: SocketAddr) -> Vec<u8> {
        let Self { domain, transport, run } = self;
        let (via, parameter) = (transport.via(), transport.parameter());
        let width = 160 + user % 2000;
        format!(
            "REGISTER sip:{domain} SIP/2.0\r\n\
             Via: SIP/2.0/{via} {line};branch={BRANCH}{number};rport\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:load{user}@{domain}>;tag=r{number}\r\n\
             To: <sip:load{user}@{domain}>\r\n\
             Call-ID: {run:x}-{user}-{number}@load\r\n\
             CSeq: 1 REGISTER\r\n\
             Contact: <sip:load{user}@{contact}{parameter}>;expires=3600;\
             +sip.instance=\"<urn:uuid:00000000-0000-1000-8000-{user:012x}>\";type=\"application\";mobility=\"mobile\"\r\n\
             Accept: text/plain, image/jpeg;media-pix-x=max+{width};media-pix-y=max+480;length=max+32768\r\n\
             User-Agent: load\r\n\
             Content-Length: 0\r\n\r\n"
        )
        .into_bytes()
    }

    /// A MESSAGE to `user`.
    pub(crate) fn message(&self, kind: Kind, number: u64, user: u32, line: SocketAddr) -> Vec<u8> {
        let Self { domain, transport, run } = self;
        let via = transport.via();
        let (content, body) = match kind {
            Kind::Picture => ("image/jpeg", PHOTO),
            Kind::Register | Kind::Text => ("text/plain", TEXT),
        };
        let mut message = format!(
            "MESSAGE sip:load{user}@{domain} SIP/2.0\r\n\
             Via: SIP/2.0/{via} {line};branch={BRANCH}{number};rport\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:sender@{domain}>;tag=m{number}\r\n\
             To: <sip:load{user}@{domain}>\r\n\
             Call-ID: {run:x}-m{number}@load\r\n\
             CSeq: 1 MESSAGE\r\n\
             Content-Type: {content}\r\n\
             User-Agent: load\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        message.extend_from_slice(body);
        message
    }
}

/// What came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// A final response to the request of that number.
    Final { number: u64, status: u16 },
    /// A provisional response, or something that is for nobody here.
    Nothing,
    /// A request, which wants a 200.
    Request,
}

/// Looks at a whole message.
pub(crate) fn read(message: &[u8]) -> Incoming {
    let Some(rest) = message.strip_prefix(b"SIP/2.0 ") else { return Incoming::Request };
    let status = rest.get(..3).and_then(number).unwrap_or_default();
    let via = header_lines(message).find_map(|line| value(line, "Via")).unwrap_or_default();
    let branch = find(via, BRANCH.as_bytes()).and_then(|at| via.get(at + BRANCH.len()..)).unwrap_or_default();
    let digits = branch.iter().take_while(|b| b.is_ascii_digit()).count();
    match (u16::try_from(status), branch.get(..digits).and_then(number)) {
        (Ok(status), Some(number)) if status >= 200 => Incoming::Final { number, status },
        _ => Incoming::Nothing,
    }
}

/// The 200 to a request.
pub(crate) fn ok(request: &[u8]) -> Vec<u8> {
    let mut response = b"SIP/2.0 200 OK\r\n".to_vec();
    for line in header_lines(request) {
        let is = |name| value(line, name).is_some();
        if is("Via") || is("From") || is("Call-ID") || is("CSeq") || is("To") {
            response.extend_from_slice(line);
            if is("To") {
                response.extend_from_slice(b";tag=phone");
            }
            response.extend_from_slice(b"\r\n");
        }
    }
    response.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    response
}

/// How long the message at the start of `octets` is, if all of it is there.
pub(crate) fn whole(octets: &[u8]) -> Option<usize> {
    let head = find(octets, b"\r\n\r\n")? + 4;
    let length = header_lines(octets).find_map(|line| value(line, "Content-Length")).and_then(number)?;
    let whole = head.checked_add(usize::try_from(length).ok()?)?;
    (whole <= octets.len()).then_some(whole)
}

/// The lines between the start line and the empty line.
fn header_lines(message: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = message.split(|&b| b == b'\n').skip(1);
    lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line)).take_while(|line| !line.is_empty())
}

fn value<'m>(line: &'m [u8], name: &str) -> Option<&'m [u8]> {
    let (own, rest) = line.split_at_checked(name.len())?;
    let value = rest.strip_prefix(b":").filter(|_| own.eq_ignore_ascii_case(name.as_bytes()))?;
    Some(value.trim_ascii())
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn find(octets: &[u8], what: &[u8]) -> Option<usize> {
    octets.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script() -> Script {
        Script { domain: "d".to_owned(), transport: Transport::Udp, run: 7 }
    }

    #[test]
    fn a_response_names_the_request_it_answers() {
        let message = script().message(Kind::Text, 42, 1, "127.0.0.1:9".parse().unwrap());
        assert_eq!(read(&message), Incoming::Request);
        assert_eq!(read(&ok(&message)), Incoming::Final { number: 42, status: 200 });
        let trying = String::from_utf8(ok(&message)).unwrap().replace("200 OK", "100 Trying");
        assert_eq!(read(trying.as_bytes()), Incoming::Nothing);
    }

    #[test]
    fn a_message_is_whole_with_its_last_octet() {
        let message = script().message(Kind::Picture, 1, 1, "127.0.0.1:9".parse().unwrap());
        assert_eq!(whole(&message), Some(message.len()));
        assert_eq!(whole(&message[..message.len() - 1]), None);
        assert_eq!(whole(b"SIP/2.0 200 OK\r\n"), None);
    }
}
