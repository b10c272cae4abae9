//! PUBLISH (RFC 3903): the body is taken apart here, what it does is decided by `presence::compositor`, and the 200
//! waits for the store.

use std::sync::Arc;

use adapter::mime::{ContentType, Node, Shape, Tree};
use bytes::Bytes;
use presence::compositor::{self, Body};
use presence::document::{Document, DocumentError, Form, Limits};
use presence::event::Package;
use presence::publication::Object;
use presence::refusal::Refusal;
use presence::subscription::Resource;
use presence::time::Moment;
use sha2::{Digest as _, Sha256};
use store::SwapError;

use super::{Presence, identity, reply, unstored};
use crate::gate;
use crate::journey::Journey;
use crate::refuse::{Refused, Reply};
use crate::relay::Standing;
use crate::route::Way;
use crate::tailor;

/// How often a PUBLISH is tried that loses against others for the same user.
const ATTEMPTS: usize = 8;

/// The answer, and what changed if something did.
pub(super) async fn answer(
    journey: &Arc<Journey>,
    way: &Way,
    presence: &Presence,
) -> (Reply, Option<Resource>) {
    let settings = &journey.policy.settings;
    let identity = match identity::of(journey, way) {
        Ok(identity) => identity,
        Err(refused) => {
            journey.note(|| refused.to_string());
            return (refused.reply(settings), None);
        }
    };
    let Some(aor) = identity::presentity(journey, presence, &way.uri) else {
        return (reply(Refusal::UnknownUser.answer()), None);
    };
    let is_neighbour = matches!(journey.standing(), Standing::Peer);
    if journey.rooms.registrar.is_guarded() && !is_neighbour && identity.aor != aor {
        let why = Refused::Forbidden("Nobody but the user publishes his presence");
        return (why.reply(settings), None);
    }
    match publish(journey, presence, &aor).await {
        Ok((answer, changed)) => {
            let resource = Resource { package: Package::Presence, aor };
            (answer, changed.then_some(resource))
        }
        Err(refused) => (refused, None),
    }
}

async fn publish(journey: &Arc<Journey>, presence: &Presence, aor: &str) -> Result<(Reply, bool), Reply> {
    let settings = &journey.policy.settings.presence;
    let body = read(journey, settings.document, settings.publications.octets).await;
    // In the order they came (RFC 3903 §6).
    let _turn = presence.publishing.turn(aor).await;
    for _ in 0..ATTEMPTS {
        let (version, current) = presence.shelf.published(aor);
        let mut tag = [0; 8];
        if getrandom::fill(&mut tag).is_err() {
            return Err(Reply::new(500, "Server Internal Error"));
        }
        let published = compositor::publish(
            &journey.request,
            body.clone(),
            &current,
            Moment::from(journey.arrived),
            u64::from_be_bytes(tag),
            &settings.publications,
        )
        .map_err(|refusal| {
            journey.note(|| refusal.to_string());
            reply(refusal.answer())
        })?;
        for (digest, part) in published.store {
            presence.shelf.keep_object(aor, &digest, part).await.map_err(|error| unstored(&error))?;
        }
        match presence.shelf.publish(aor, version, &published.next).await {
            Ok(_) => {
                for digest in &published.remove {
                    presence.shelf.drop_object(aor, digest).await;
                }
                presence.publishing.expect(aor, published.next.next_end());
                return Ok((reply(published.answer), published.changed));
            }
            Err(SwapError::Conflict { .. }) => {}
            Err(error) => return Err(unstored(&error)),
        }
    }
    Err(unstored(&SwapError::Busy))
}

/// Takes the body apart, where it disturbs nobody.
async fn read(journey: &Arc<Journey>, limits: Limits, octets: usize) -> Body {
    let length = journey.request.body().len();
    if length == 0 {
        return Body::None;
    }
    if length > octets {
        return Body::TooLarge;
    }
    let entity = gate::entity(&journey.request);
    let work = move || take_apart(&entity, &limits);
    tailor::aside(length, work).await.unwrap_or(Body::Unsupported)
}

fn take_apart(entity: &adapter::Entity, limits: &Limits) -> Body {
    let tree = Tree::read(entity, &adapter::Guards::default());
    let Some(root) = tree.root() else { return Body::Unsupported };
    if root.content_encoding().is_some() {
        return Body::Unsupported;
    }
    let (document, objects) = match root.shape {
        Shape::Leaf => (0, Vec::new()),
        Shape::Multipart { .. } if root.content_type.is("multipart/related") => {
            let Some(start) = start(&tree, root) else { return Body::Unsupported };
            (start, objects(&tree, start))
        }
        _ => return Body::Unsupported,
    };
    let is_presence = |kind: &ContentType| Form::of(&kind.essence).is_some();
    if !tree.node(document).is_some_and(|node| is_presence(&node.content_type)) {
        return Body::Unsupported;
    }
    let Some(document) = tree.content(document) else { return Body::Unsupported };
    match Document::read(&document, limits) {
        Ok(_) => Body::Document { document: document.to_vec().into(), objects },
        Err(error) if error.is_size() => Body::TooLarge,
        Err(error) => Body::Bad(bad(&error)),
    }
}

fn bad(_error: &DocumentError) -> &'static str {
    "The Presence Document Can't Be Read"
}

/// The root of a multipart/related (RFC 2387 §3.2).
fn start(tree: &Tree, root: &Node) -> Option<usize> {
    let named = root.content_type.param("start").map(|id| id.trim().trim_matches(['<', '>']).to_owned());
    let is_named = |part: &usize| named.is_some() && tree.node(*part).and_then(Node::content_id) == named;
    tree.children(0).find(is_named).or_else(|| tree.children(0).next())
}

/// The parts of the body that a link can name, wherever they stand (CPI.md §5). Alternatives are one object: each watcher
/// is given the one that suits him.
fn objects(tree: &Tree, document: usize) -> Vec<(Object, Bytes)> {
    let mut found = Vec::new();
    let mut waiting: Vec<usize> = tree.children(0).rev().collect();
    while let Some(part) = waiting.pop() {
        if part == document {
            continue;
        }
        let Some(node) = tree.node(part) else { continue };
        let is_container = matches!(node.shape, Shape::Multipart { .. });
        match name(tree, part, node) {
            Some(id) => found.extend(object(tree, node, &id)),
            None if is_container => waiting.extend(tree.children(part).rev()),
            None => {}
        }
    }
    found
}

/// The Content-ID under which a link finds a part.
fn name(tree: &Tree, part: usize, node: &Node) -> Option<String> {
    match &node.shape {
        Shape::External(external) => external.inner_content_id.clone().or_else(|| node.content_id()),
        Shape::Multipart { .. } if node.content_type.is("multipart/alternative") => {
            let mut each = tree.children(part).filter_map(|child| tree.node(child)?.content_id());
            node.content_id().or_else(|| each.next())
        }
        // What stands in any other is named by itself.
        Shape::Multipart { .. } => None,
        Shape::Leaf | Shape::Opaque => node.content_id(),
    }
}

fn object(tree: &Tree, node: &Node, id: &str) -> Option<(Object, Bytes)> {
    let id = id.trim().trim_matches(['<', '>']).to_owned();
    // Copied out: a slice would keep the whole message.
    let octets = Bytes::copy_from_slice(&tree.slice(node.header.start..node.body.end));
    let digest = Sha256::digest(&octets).into();
    let count = u32::try_from(octets.len()).ok()?;
    Some((Object { id: id.into(), digest, octets: count }, octets))
}
