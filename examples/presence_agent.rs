//! A user agent for presence: publishes a photo and a note, watches somebody, and prints what it is told.
//!
//! In one terminal `cargo run`, in another, twice with the names the other way round:
//!
//! `cargo run --example presence_agent -- --me ann@localhost --watch bob@localhost \
//!     --note 'At home' --photo tests/data/images/life_640x480.jpg --accept 'image/jpeg;media-pix-x=max+64'`
//!
//! It speaks TCP to `--server` (127.0.0.1:5060), knows no passwords, and ends after `--notifies` (2) NOTIFYs.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use adapter::mime::{Shape, Tree};
use adapter::{Entity, Field, Guards};
use bytes::Bytes;
use presence::document::multipart::{Part, related};
use presence::document::{Document, Form, Limits};
use sip::{Framed, Message, Method, Request, RequestBuilder, Response, ResponseBuilder, StreamFramer};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    run(std::env::args().skip(1), &mut std::io::stdout())
}

/// Does what the command line asks for, and writes what comes of it.
pub(crate) fn run(words: impl Iterator<Item = String>, out: &mut impl Write) -> Outcome<()> {
    let wishes = Wishes::read(words)?;
    let mut line = Line::open(wishes.server)?;
    if wishes.note.is_some() || wishes.photo.is_some() {
        let answer = line.ask(publish(&wishes)?)?;
        let tag = answer.header_named("SIP-ETag").map(String::from_utf8_lossy).unwrap_or_default();
        writeln!(out, "PUBLISH: {}, its tag is {tag}", said(&answer))?;
    }
    let Some(watched) = &wishes.watch else { return Ok(()) };
    let listener = TcpListener::bind((line.local()?.ip(), 0))?;
    let answer = line.ask(subscribe(&wishes, watched, listener.local_addr()?))?;
    writeln!(out, "SUBSCRIBE: {}", said(&answer))?;
    if answer.status() != 200 {
        return Ok(());
    }
    let (stream, _) = listener.accept()?;
    let mut told = Line::over(stream)?;
    for _ in 0..wishes.notifies {
        let Some(notify) = told.take()? else { break };
        print(&notify, &wishes, out)?;
    }
    Ok(())
}

/// What the command line asks for.
struct Wishes {
    server: SocketAddr,
    me: String,
    watch: Option<String>,
    note: Option<String>,
    photo: Option<String>,
    accept: String,
    notifies: u32,
    save: Option<String>,
}

impl Wishes {
    fn read(mut words: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut wishes = Wishes {
            server: "127.0.0.1:5060".parse()?,
            me: "ann@localhost".to_owned(),
            watch: None,
            note: None,
            photo: None,
            accept: "multipart/related, message/external-body, image/*".to_owned(),
            notifies: 2,
            save: None,
        };
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            match word.as_str() {
                "--server" => wishes.server = value.parse()?,
                "--me" => wishes.me = value,
                "--watch" => wishes.watch = Some(value),
                "--note" => wishes.note = Some(value),
                "--photo" => wishes.photo = Some(value),
                "--accept" => wishes.accept = format!("multipart/related, message/external-body, {value}"),
                "--notifies" => wishes.notifies = value.parse()?,
                "--save" => wishes.save = Some(value),
                _ => return Err(format!("{word} is not known").into()),
            }
        }
        Ok(wishes)
    }
}

/// A document, and beside it the photo that it shows (BINPIDF).
fn publish(wishes: &Wishes) -> Outcome<RequestBuilder> {
    let me = &wishes.me;
    let mut document = Document::new(&format!("pres:{me}")).tuple("agent", true, Some(&format!("sip:{me}")));
    if let Some(note) = &wishes.note {
        document = document.note(note);
    }
    let request = request(Method::Publish, me, me).header("Event", "presence").header("Expires", "300");
    let Some(photo) = &wishes.photo else {
        let body = document.write(Form::Pidf);
        return Ok(request.header("Content-Type", Form::Pidf.media_type()).body(body));
    };
    let photo = Bytes::from(std::fs::read(photo)?);
    let kind = adapter::image::probe(&photo)?.kind.media_type();
    let document = document.object("cid:photo@agent.invalid", None).write(Form::Pidf);
    let root = Part::new(Form::Pidf.media_type(), "document@agent.invalid", document);
    let body = related(&root, &[Part::new(kind, "photo@agent.invalid", photo)]);
    Ok(request.header("MIME-Version", "1.0").header("Content-Type", &body.content_type).body(body.octets))
}

fn subscribe(wishes: &Wishes, watched: &str, contact: SocketAddr) -> RequestBuilder {
    request(Method::Subscribe, &wishes.me, watched)
        .header("Contact", format!("<sip:agent@{contact};transport=tcp>"))
        .header("Event", "presence")
        .header("Expires", "300")
        .header("Accept", format!("application/pidf+xml, {}", wishes.accept))
}

fn request(method: Method<'static>, from: &str, to: &str) -> RequestBuilder {
    RequestBuilder::new(method, format!("sip:{to}"))
        .from(format!("<sip:{from}>;tag={}", std::process::id()))
        .to(format!("<sip:{to}>"))
        .call_id(format!("{method}-{}@agent.invalid", std::process::id()))
        .cseq(1)
}

/// What a NOTIFY says, and what came beside its document.
fn print(notify: &Request, wishes: &Wishes, out: &mut impl Write) -> Outcome<()> {
    let state = notify.header_named("Subscription-State").map(String::from_utf8_lossy).unwrap_or_default();
    writeln!(out, "\nNOTIFY: {state}")?;
    let fields = notify.headers().filter(|header| Entity::describes(header.name));
    let fields = fields
        .map(|header| Field::new(Bytes::copy_from_slice(header.name), Bytes::copy_from_slice(header.value)));
    let entity = Entity { fields: fields.collect(), body: notify.body() };
    let tree = Tree::read(&entity, &Guards::default());
    for (id, node) in tree.nodes() {
        let octets = tree.content(id).unwrap_or_default();
        match &node.shape {
            Shape::External(link) => {
                writeln!(
                    out,
                    "  by reference: {}",
                    link.url.as_deref().unwrap_or("nothing that can be opened")
                )?;
            }
            Shape::Leaf if Form::of(&node.content_type.essence).is_some() => {
                let document = Document::read(&octets, &Limits::default())?;
                let basic = if document.is_open() { "open" } else { "closed" };
                writeln!(out, "  {} is {basic}", document.entity())?;
                document.notes().try_for_each(|note| writeln!(out, "  note: {note}"))?;
                document
                    .objects()
                    .iter()
                    .try_for_each(|object| writeln!(out, "  shows {}", object.target))?;
            }
            Shape::Leaf if node.content_type.is_kind("image") => {
                let probe = adapter::image::probe(&octets)?;
                let kind = &node.content_type.essence;
                writeln!(
                    out,
                    "  beside it {kind}, {}x{}, {} octets",
                    probe.width,
                    probe.height,
                    octets.len()
                )?;
                if let Some(path) = &wishes.save {
                    std::fs::write(path, &octets)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn said(response: &Response) -> String {
    format!("{} {}", response.status(), String::from_utf8_lossy(response.reason()))
}

/// One TCP connection that speaks SIP.
struct Line {
    stream: TcpStream,
    framer: StreamFramer,
}

impl Line {
    fn open(server: SocketAddr) -> Outcome<Self> {
        Self::over(TcpStream::connect(server)?)
    }

    fn over(stream: TcpStream) -> Outcome<Self> {
        Ok(Self { stream, framer: StreamFramer::new(sip::Limits::default()) })
    }

    fn local(&self) -> Outcome<SocketAddr> {
        Ok(self.stream.local_addr()?)
    }

    /// Sends a request and waits for its final response.
    fn ask(&mut self, request: RequestBuilder) -> Outcome<Response> {
        let mut outgoing = request.build();
        let local = self.local()?;
        outgoing.push_via(format!("SIP/2.0/TCP {local};branch=z9hG4bKagent{}", local.port()));
        self.stream.write_all(&outgoing.encode().to_bytes())?;
        loop {
            match self.next()?.ok_or("the server hung up")? {
                Message::Response(response) if !response.is_provisional() => return Ok(response),
                _ => {}
            }
        }
    }

    /// Takes the next request and answers it 200; `None` when the other side has hung up.
    fn take(&mut self) -> Outcome<Option<Request>> {
        loop {
            match self.next()? {
                Some(Message::Request(request)) => {
                    let answer = ResponseBuilder::to_request(&request, 200, "OK").encode().to_bytes();
                    self.stream.write_all(&answer)?;
                    return Ok(Some(request));
                }
                Some(Message::Response(_)) => {}
                None => return Ok(None),
            }
        }
    }

    fn next(&mut self) -> Outcome<Option<Message>> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match self.framer.next()? {
                Some(Framed::Message(raw)) => return Ok(Some(sip::validate(raw, &sip::Limits::default())?)),
                Some(_keepalive) => {}
                None => {
                    let length = self.stream.read(&mut buffer)?;
                    if length == 0 {
                        return Ok(None);
                    }
                    self.framer.push(buffer.get(..length).unwrap_or_default());
                }
            }
        }
    }
}
