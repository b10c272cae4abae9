//! The second half of the story: one publishes a photo as her presence, and two watch her on different terminals.

use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};

use adapter::mime::{Shape, Tree};
use adapter::{Entity, Field, Guards};
use bytes::Bytes;
use presence::document::multipart::{Part, related};
use presence::document::{Document, Form, Limits};
use sip::{HeaderId, Method, Request, RequestBuilder};

use super::phone::{Line, PATIENCE, broken, silent, take_one};
use crate::cli::Failure;

/// Publishes a document that shows the photo, with the photo beside it (BINPIDF).
pub(super) fn publish(server: SocketAddr, user: &str, note: &str, photo: &[u8]) -> Result<(), Failure> {
    let document = Document::new(&format!("pres:{user}@localhost"))
        .tuple("demo", true, Some(&format!("sip:{user}@localhost")))
        .note(note)
        .object("cid:photo@demo.invalid", None)
        .write(Form::Pidf);
    let root = Part::new(Form::Pidf.media_type(), "document@demo.invalid", document);
    let body =
        related(&root, &[Part::new("image/jpeg", "photo@demo.invalid", Bytes::copy_from_slice(photo))]);
    let publish = request(Method::Publish, user, user)
        .header(HeaderId::Expires, "300")
        .header("MIME-Version", "1.0")
        .header(HeaderId::ContentType, &body.content_type)
        .body(body.octets);
    Line::open(server)?.ask(publish)
}

/// What a watcher was told first.
pub(super) struct Told {
    /// The note of who is watched.
    pub(super) note: String,
    /// Where the document's link leads.
    pub(super) link: String,
    /// The picture that came along: its media type and its octets.
    pub(super) picture: Option<(String, Bytes)>,
}

/// Subscribes, and waits for the NOTIFY.
pub(super) fn watch(server: SocketAddr, user: &str, whom: &str, accept: &str) -> Result<Told, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(broken)?;
    let contact = format!("<sip:{user}@{};transport=tcp>", listener.local_addr().map_err(broken)?);
    let subscribe = request(Method::Subscribe, user, whom)
        .header(HeaderId::Contact, contact)
        .header(HeaderId::Expires, "300")
        .header(HeaderId::Accept, accept);
    let requests = listen(listener);
    Line::open(server)?.ask(subscribe)?;
    let notify = requests.recv_timeout(PATIENCE).map_err(|_| silent("the server"))??;
    told(&notify)
}

fn listen(listener: TcpListener) -> Receiver<Result<Request, Failure>> {
    let (sender, requests) = channel();
    std::thread::spawn(move || {
        // The demo has ended when nobody listens any more.
        let _ended = sender.send(take_one(&listener));
    });
    requests
}

fn request(method: Method<'static>, from: &str, to: &str) -> RequestBuilder {
    RequestBuilder::new(method, format!("sip:{to}@localhost"))
        .from(format!("<sip:{from}@localhost>;tag=demo"))
        .to(format!("<sip:{to}@localhost>"))
        .call_id(format!("{method}-{from}@demo"))
        .cseq(1)
        .header("Event", "presence")
}

/// The document of a NOTIFY, and the picture beside it.
fn told(notify: &Request) -> Result<Told, Failure> {
    let fields = notify.headers().filter(|header| Entity::describes(header.name));
    let fields = fields
        .map(|header| Field::new(Bytes::copy_from_slice(header.name), Bytes::copy_from_slice(header.value)));
    let entity = Entity { fields: fields.collect(), body: notify.body() };
    let tree = Tree::read(&entity, &Guards::default());
    let leaves = || tree.nodes().filter(|(_, node)| matches!(node.shape, Shape::Leaf));
    let is_document =
        |id: &usize| tree.node(*id).is_some_and(|node| Form::of(&node.content_type.essence).is_some());
    let octets = leaves().map(|(id, _)| id).find(is_document).and_then(|id| tree.content(id));
    let document = Document::read(&octets.unwrap_or_default(), &Limits::default())
        .map_err(|error| Failure::Demo(format!("the presence document can't be read: {error}")))?;
    let mut pictures = leaves().filter(|(_, node)| node.content_type.is_kind("image"));
    let picture = pictures.next();
    Ok(Told {
        note: document.notes().next().unwrap_or_default(),
        link: document.objects().into_iter().next().map(|object| object.target).unwrap_or_default(),
        picture: picture.and_then(|(id, node)| Some((node.content_type.essence.clone(), tree.content(id)?))),
    })
}
