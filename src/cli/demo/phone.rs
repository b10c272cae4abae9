//! A simulated phone: it registers over TCP with what it can show, and takes one message.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use bytes::Bytes;
use sip::{
    Framed, HeaderId, Limits, Message, Method, Request, RequestBuilder, ResponseBuilder, StreamFramer,
};

use crate::cli::Failure;

/// How long anything in the demo may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// A registered phone.
pub(super) struct Phone {
    user: String,
    requests: Receiver<Result<Request, Failure>>,
}

/// What it got.
pub(super) struct Received {
    /// The media type, without parameters.
    pub(super) content_type: String,
    /// With parameters.
    full_type: String,
    pub(super) content_adapted: Option<String>,
    pub(super) body: Bytes,
}

impl Phone {
    /// Registers `user` with an Accept header.
    pub(super) fn register(server: SocketAddr, user: &str, accept: &str) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(broken)?;
        let contact = format!("<sip:{user}@{};transport=tcp>", listener.local_addr().map_err(broken)?);
        let (sender, requests) = channel();
        std::thread::spawn(move || {
            // The demo has ended when nobody listens any more.
            let _ended = sender.send(take_one(&listener));
        });
        let aor = format!("sip:{user}@localhost");
        let register = RequestBuilder::new(Method::Register, "sip:localhost")
            .from(format!("<{aor}>;tag=demo"))
            .to(format!("<{aor}>"))
            .call_id(format!("register-{user}@demo"))
            .cseq(1)
            .header(HeaderId::Contact, contact)
            .header(HeaderId::Expires, "300")
            .header(HeaderId::Accept, accept);
        Line::open(server)?.ask(register)?;
        Ok(Self { user: user.to_owned(), requests })
    }

    /// Sends it the photo through the server, answers 200, and waits for the sender's 200.
    pub(super) fn send_photo(&self, server: SocketAddr, photo: &'static [u8]) -> Result<Received, Failure> {
        let message = RequestBuilder::new(Method::Message, format!("sip:{}@localhost", self.user))
            .from("<sip:ann@localhost>;tag=demo")
            .to(format!("<sip:{}@localhost>", self.user))
            .call_id(format!("photo-{}@demo", self.user))
            .cseq(1)
            .header(HeaderId::ContentType, "image/jpeg")
            .body(Bytes::from_static(photo));
        Line::open(server)?.ask(message)?;
        let request = self.requests.recv_timeout(PATIENCE).map_err(|_| silent("the phone"))??;
        let text = |value: &[u8]| String::from_utf8_lossy(&grammar::unfold(value)).into_owned();
        let full_type = request.header(HeaderId::ContentType).map(text).unwrap_or_default();
        Ok(Received {
            content_type: full_type.split(';').next().unwrap_or_default().trim().to_owned(),
            full_type,
            content_adapted: request.header(HeaderId::ContentAdapted).map(text),
            body: request.body(),
        })
    }
}

impl Received {
    /// The URL of a message/external-body; white space may split it (RFC 2017 §3.1).
    pub(super) fn link(&self) -> Option<String> {
        let (_, params) = self.full_type.split_once(';')?;
        let url = grammar::params(params.as_bytes()).find_name(b"url")?.value?.text().into_owned();
        let url = String::from_utf8(url).ok()?;
        Some(url.chars().filter(|c| !c.is_whitespace()).collect())
    }
}

/// Takes one request on one connection and answers it 200.
pub(super) fn take_one(listener: &TcpListener) -> Result<Request, Failure> {
    let (stream, _) = listener.accept().map_err(broken)?;
    let mut line = Line::over(stream)?;
    match line.next()? {
        Message::Request(request) => {
            line.write(&ResponseBuilder::to_request(&request, 200, "OK").encode().to_bytes())?;
            Ok(request)
        }
        Message::Response(_) => Err(Failure::Demo("the phone got an answer it never asked for".to_owned())),
    }
}

/// One TCP connection that speaks SIP.
pub(super) struct Line {
    stream: TcpStream,
    framer: StreamFramer,
    limits: Limits,
}

impl Line {
    pub(super) fn open(server: SocketAddr) -> Result<Self, Failure> {
        Self::over(TcpStream::connect_timeout(&server, PATIENCE).map_err(broken)?)
    }

    fn over(stream: TcpStream) -> Result<Self, Failure> {
        stream.set_read_timeout(Some(PATIENCE)).map_err(broken)?;
        stream.set_write_timeout(Some(PATIENCE)).map_err(broken)?;
        let limits = Limits::default();
        Ok(Self { stream, framer: StreamFramer::new(limits), limits })
    }

    /// Sends a request and waits for its 200.
    pub(super) fn ask(mut self, request: RequestBuilder) -> Result<(), Failure> {
        let local = self.stream.local_addr().map_err(broken)?;
        let mut outgoing = request.build();
        outgoing.push_via(format!("SIP/2.0/TCP {local};branch=z9hG4bKdemo{}", local.port()));
        self.write(&outgoing.encode().to_bytes())?;
        loop {
            match self.next()? {
                Message::Response(response) if response.is_provisional() => {}
                Message::Response(response) if response.status() == 200 => return Ok(()),
                Message::Response(response) => {
                    let reason = String::from_utf8_lossy(response.reason()).into_owned();
                    return Err(Failure::Demo(format!("the server answered {} {reason}", response.status())));
                }
                Message::Request(_) => {
                    return Err(Failure::Demo("the server asked on a sender's line".to_owned()));
                }
            }
        }
    }

    fn write(&mut self, octets: &[u8]) -> Result<(), Failure> {
        self.stream.write_all(octets).map_err(broken)
    }

    fn next(&mut self) -> Result<Message, Failure> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match self.framer.next().map_err(|invalid| unreadable(&invalid))? {
                Some(Framed::Message(raw)) => {
                    return sip::validate(raw, &self.limits).map_err(|invalid| unreadable(&invalid));
                }
                Some(_keepalive) => {}
                None => {
                    let length = self.stream.read(&mut buffer).map_err(broken)?;
                    if length == 0 {
                        return Err(silent("the server"));
                    }
                    self.framer.push(buffer.get(..length).unwrap_or_default());
                }
            }
        }
    }
}

pub(super) fn broken(error: std::io::Error) -> Failure {
    Failure::Demo(format!("loopback failed: {error}"))
}

pub(super) fn silent(who: &str) -> Failure {
    Failure::Demo(format!("{who} fell silent; run it with RUST_LOG=debug to see why"))
}

fn unreadable(invalid: &sip::Invalid) -> Failure {
    Failure::Demo(format!("a message can't be read: {}", invalid.kind))
}
