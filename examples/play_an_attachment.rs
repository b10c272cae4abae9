//! A mail program on a phone that can't hold an attachment: it finds a part that is sound, has the mail server
//! authorise a URL for it, and has the announcement service play it (draft-cook-lemonade-streaming §2.5, RFC 5616).
//!
//! ```text
//! cargo run --example play_an_attachment -- IMAP-HOST:PORT USER PASSWORD UID SECTION SIP-HOST:PORT OUT.wav
//! ```
//!
//! What is played comes back as RTP (PCMU) and is written to a WAV file until the server says BYE.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::Duration;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    run(&std::env::args().skip(1).collect::<Vec<String>>())
}

pub(crate) fn run(args: &[String]) -> Outcome<()> {
    let [imap, user, password, uid, section, sip, out] = args else {
        return Err("usage: IMAP-HOST:PORT USER PASSWORD UID SECTION SIP-HOST:PORT OUT.wav".into());
    };
    let mut mail = Mail::open(imap)?;
    mail.command(&format!("LOGIN \"{user}\" \"{password}\""))?;
    mail.command("SELECT INBOX")?;
    let (kind, encoding) = mail.part(uid, section)?;
    println!("part {section} is {kind}, {encoding}");
    let url = mail
        .authorise(&format!("imap://{user}@{imap}/INBOX/;uid={uid}/;section={section};urlauth=anonymous"))?;
    println!("the mail server gave out a URL for it");

    let server = sip.to_socket_addrs()?.next().ok_or("the SIP server has no address")?;
    let phone = Phone::open(server)?;
    let samples = phone.play(&url, &kind, &encoding)?;
    println!("{} octets of PCMU came, {:.2} s", samples.len(), samples.len() as f64 / 8000.0);
    std::fs::write(out, wav(&samples))?;
    Ok(())
}

/// A session with the mail server.
struct Mail {
    stream: BufReader<TcpStream>,
    number: u32,
}

impl Mail {
    fn open(place: &str) -> Outcome<Mail> {
        let stream = TcpStream::connect(place)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut mail = Mail { stream: BufReader::new(stream), number: 0 };
        mail.line()?;
        Ok(mail)
    }

    /// Everything the server says to a command, up to its OK.
    fn command(&mut self, command: &str) -> Outcome<String> {
        self.number += 1;
        let tag = format!("c{} ", self.number);
        self.stream.get_mut().write_all(format!("{tag}{command}\r\n").as_bytes())?;
        let mut said = String::new();
        loop {
            let line = self.line()?;
            if let Some(status) = line.strip_prefix(&tag) {
                return if status.starts_with("OK") { Ok(said) } else { Err(status.to_owned().into()) };
            }
            said.push_str(&line);
            // A literal: so many octets follow the line.
            let announced = line.trim_end().strip_suffix('}').and_then(|line| line.rsplit_once('{'));
            if let Some(length) = announced.and_then(|(_, length)| length.parse::<u64>().ok()) {
                let mut literal = Vec::new();
                self.stream.by_ref().take(length).read_to_end(&mut literal)?;
                said.push_str(&String::from_utf8_lossy(&literal));
            }
        }
    }

    fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line)? {
            0 => Err("the mail server closed the connection".into()),
            _ => Ok(line),
        }
    }

    /// Content-Type and Content-Transfer-Encoding of a part (FETCH BODY[n.MIME]).
    fn part(&mut self, uid: &str, section: &str) -> Outcome<(String, String)> {
        let said = self.command(&format!("UID FETCH {uid} BODY.PEEK[{section}.MIME]"))?;
        let field = |name: &str| {
            let line = said.lines().find(|line| line.to_ascii_lowercase().starts_with(name));
            let value = line.and_then(|line| line.split_once(':'));
            value.map(|(_, value)| value.split(';').next().unwrap_or_default().trim().to_owned())
        };
        let kind = field("content-type:").ok_or("there is no such part")?;
        Ok((kind, field("content-transfer-encoding:").unwrap_or_else(|| "7bit".to_owned())))
    }

    /// The URL with the server's token behind it (GENURLAUTH).
    fn authorise(&mut self, rump: &str) -> Outcome<String> {
        let said = self.command(&format!("GENURLAUTH \"{rump}\" INTERNAL"))?;
        let start = said.find("imap://").ok_or("the mail server gave no URL out")?;
        let url = said.get(start..).unwrap_or_default().split(['"', '\r', ' ']).next();
        Ok(url.unwrap_or_default().to_owned())
    }
}

/// A phone with one socket for SIP and one for RTP.
struct Phone {
    sip: UdpSocket,
    rtp: UdpSocket,
    server: SocketAddr,
}

impl Phone {
    fn open(server: SocketAddr) -> Outcome<Phone> {
        let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let sip = UdpSocket::bind(any)?;
        sip.connect(server)?;
        sip.set_read_timeout(Some(Duration::from_secs(30)))?;
        let rtp = UdpSocket::bind((sip.local_addr()?.ip(), 0))?;
        rtp.set_read_timeout(Some(Duration::from_millis(200)))?;
        Ok(Phone { sip, rtp, server })
    }

    /// INVITE, ACK, RTP until the BYE.
    fn play(&self, url: &str, kind: &str, encoding: &str) -> Outcome<Vec<u8>> {
        let (here, port) = (self.sip.local_addr()?, self.rtp.local_addr()?.port());
        let family = if here.is_ipv4() { "IP4" } else { "IP6" };
        let sdp = format!(
            "v=0\r\no=- 1 1 IN {family} {0}\r\ns=-\r\nc=IN {family} {0}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n\
             a=rtpmap:0 PCMU/8000\r\na=recvonly\r\n",
            here.ip()
        );
        let uri = format!(
            "sip:annc@{};play={};content-type={};content-transfer-encoding={encoding}",
            self.server,
            escaped(url),
            escaped(kind)
        );
        self.send(&self.request("INVITE", &uri, &format!("<sip:annc@{}>", self.server), &sdp))?;
        let ok = self.answer()?;
        let contact = field(&ok, "contact").ok_or("the 200 has no Contact")?;
        let contact = contact.trim_matches(['<', '>']);
        self.send(&self.request("ACK", contact, &field(&ok, "to").unwrap_or_default(), ""))?;
        self.listen()
    }

    /// The final answer, which must be a 200.
    fn answer(&self) -> Outcome<String> {
        loop {
            let message = self.receive()?;
            let status = message.lines().next().unwrap_or_default().to_owned();
            match status.get(8..9) {
                Some("1") => {}
                Some("2") => return Ok(message),
                _ => return Err(status.into()),
            }
        }
    }

    fn listen(&self) -> Outcome<Vec<u8>> {
        self.sip.set_nonblocking(true)?;
        let mut samples = Vec::new();
        let mut packet = [0; 2048];
        loop {
            if let Ok(length) = self.rtp.recv(&mut packet) {
                samples.extend_from_slice(packet.get(12..length).unwrap_or_default());
            }
            if let Ok(message) = self.receive()
                && message.starts_with("BYE ")
            {
                let kept = |line: &&str| {
                    ["via:", "from:", "to:", "call-id:", "cseq:"]
                        .iter()
                        .any(|name| line.to_ascii_lowercase().starts_with(name))
                };
                let lines: Vec<&str> = message.lines().filter(kept).collect();
                self.send(&format!("SIP/2.0 200 OK\r\n{}\r\nContent-Length: 0\r\n\r\n", lines.join("\r\n")))?;
                return Ok(samples);
            }
        }
    }

    fn request(&self, method: &str, uri: &str, to: &str, body: &str) -> String {
        let here = self.sip.local_addr().map_or_else(|_| "localhost".to_owned(), |here| here.to_string());
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{method}{0};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:phone@{here}>;tag={0}\r\nTo: {to}\r\nCall-ID: {0}@{here}\r\nCSeq: 1 {method}\r\n\
             Contact: <sip:phone@{here}>\r\nContent-Type: application/sdp\r\nContent-Length: {1}\r\n\r\n{body}",
            std::process::id(),
            body.len()
        )
    }

    fn send(&self, message: &str) -> Outcome<()> {
        self.sip.send(message.as_bytes())?;
        Ok(())
    }

    fn receive(&self) -> Outcome<String> {
        let mut message = vec![0; 65_536];
        let length = self.sip.recv(&mut message)?;
        Ok(String::from_utf8_lossy(message.get(..length).unwrap_or_default()).into_owned())
    }
}

fn field(message: &str, name: &str) -> Option<String> {
    let named = |line: &&str| line.split(':').next().is_some_and(|start| start.eq_ignore_ascii_case(name));
    let value = message.lines().find(named)?.split_once(':')?.1;
    Some(value.trim().to_owned())
}

/// As a parameter of a SIP URI has it: exactly once (RFC 5616 §3.5).
fn escaped(text: &str) -> String {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.!~*'()[]/:&+$".contains(&octet);
    let escape = |octet| if plain(octet) { char::from(octet).to_string() } else { format!("%{octet:02X}") };
    text.bytes().map(escape).collect()
}

/// A WAV file of mu-law samples.
fn wav(samples: &[u8]) -> Vec<u8> {
    let length = u32::try_from(samples.len()).unwrap_or(u32::MAX);
    let mut file = b"RIFF".to_vec();
    file.extend_from_slice(&(length.saturating_add(38)).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt ");
    file.extend_from_slice(&18u32.to_le_bytes());
    for number in [7u16, 1] {
        file.extend_from_slice(&number.to_le_bytes());
    }
    file.extend_from_slice(&8000u32.to_le_bytes());
    file.extend_from_slice(&8000u32.to_le_bytes());
    for number in [1u16, 8, 0] {
        file.extend_from_slice(&number.to_le_bytes());
    }
    file.extend_from_slice(b"data");
    file.extend_from_slice(&length.to_le_bytes());
    file.extend_from_slice(samples);
    file
}
