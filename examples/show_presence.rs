//! A user agent of presence: publishes a note and a photo, watches somebody, and prints each NOTIFY with the
//! pictures that came in it.
//!
//! `cargo run --example show_presence -- 127.0.0.1:5060 ann@localhost tests/data/images/life_640x480.jpg bob@localhost`
//!
//! Run a second one for `bob` who watches `ann`, and each shows the other's photo at 64x64 pixels at most: that is what
//! the SUBSCRIBE says this terminal can show.

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;

use presence::document::multipart::{Part, related};
use presence::document::{Document, Form};
use sip::{
    Framed, Limits, Message, Method, Outgoing, Request, RequestBuilder, ResponseBuilder, StreamFramer,
};

const ACCEPT: &str = "application/pidf+xml, multipart/related, \
                      image/jpeg;media-pix-x=max+64;media-pix-y=max+64;length=max+8192";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = |what: &'static str| arguments.next().ok_or(what);
    let server = argument("name the server, as in 127.0.0.1:5060")?;
    let user = argument("name yourself, as in ann@localhost")?;
    let photo = std::fs::read(argument("name a JPEG")?)?;
    let other = argument("name whom to watch")?;
    let mut line = TcpStream::connect(&server)?;
    let contact = format!("<sip:{};transport=tcp>", line.local_addr()?);

    let photo =
        Part { disposition: Some("icon".into()), ..Part::new("image/jpeg", "face@agent", photo.into()) };
    let document = Document::new(&format!("pres:{user}"))
        .tuple("agent", true, Some(&format!("sip:{user}")))
        .note("At the keyboard")
        .object("cid:face@agent", None);
    let root = Part::new(Form::Pidf.media_type(), "root@agent", document.write(Form::Pidf));
    let body = related(&root, &[photo]);
    let publish =
        request(Method::Publish, &user, &user).header("Content-Type", &body.content_type).body(body.octets);
    let subscribe =
        request(Method::Subscribe, &user, &other).header("Contact", &contact).header("Accept", ACCEPT);
    for (number, builder) in [publish, subscribe].into_iter().enumerate() {
        let mut outgoing = builder.build();
        outgoing.push_via(format!("SIP/2.0/TCP {};branch=z9hG4bK{number}", line.local_addr()?));
        send(&mut line, &outgoing)?;
    }
    listen(&mut line)
}

fn request(method: Method<'_>, user: &str, to: &str) -> RequestBuilder {
    let call = format!("{}-{}@agent", method, std::process::id());
    RequestBuilder::new(method, format!("sip:{to}"))
        .from(format!("<sip:{user}>;tag=agent"))
        .to(format!("<sip:{to}>"))
        .call_id(call)
        .cseq(1)
        .header("Event", "presence")
        .header("Expires", "3600")
}

fn send(line: &mut TcpStream, message: &Outgoing) -> std::io::Result<()> {
    line.write_all(&message.encode().to_bytes())
}

/// Prints what comes until the server closes.
fn listen(line: &mut TcpStream) -> Result<(), Box<dyn Error>> {
    let limits = Limits::default();
    let mut framer = StreamFramer::new(limits);
    let mut octets = [0; 65_536];
    loop {
        let length = line.read(&mut octets)?;
        if length == 0 {
            return Ok(());
        }
        framer.push(octets.get(..length).unwrap_or_default());
        while let Some(framed) = framer.next()? {
            let Framed::Message(raw) = framed else { continue };
            match sip::validate(raw, &limits).map_err(|invalid| invalid.to_string())? {
                Message::Response(response) => {
                    println!("{} {}", response.status(), String::from_utf8_lossy(response.reason()));
                }
                Message::Request(notify) => {
                    show(&notify);
                    send(line, &ResponseBuilder::to_request(&notify, 200, "OK").build())?;
                }
            }
        }
    }
}

fn show(notify: &Request) {
    println!("NOTIFY from {}", String::from_utf8_lossy(notify.from().uri_octets()));
    let fields = notify.headers().filter(|header| adapter::Entity::describes(header.name));
    let fields = fields.map(|header| adapter::Field::new(header.name.to_vec(), header.value.to_vec()));
    let entity = adapter::Entity { fields: fields.collect(), body: notify.body() };
    let tree = adapter::mime::Tree::read(&entity, &adapter::Guards::default());
    for (id, node) in tree.nodes() {
        let octets = tree.content(id).unwrap_or_default();
        println!("  {} {}, {} octets", tree.path(id), node.content_type.essence, octets.len());
        if let Ok(document) = Document::read(&octets, &presence::document::Limits::default()) {
            let word = if document.is_open() { "there" } else { "not there" };
            println!("    {word}; {}", document.notes().collect::<Vec<_>>().join("; "));
        }
    }
}
