//! What arrives: octets become messages, invalid ones get their verdict, valid ones go to their shard.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use sip::transaction::shard_of;
use sip::{Encoded, Framed, HeaderId, Invalid, Message, Method, RawMessage, ResponseBuilder, Verdict, Via};

use crate::datagram::DatagramSocket;
use crate::peer::Peer;
use crate::shard::Arrival;
use crate::stream::{Connection, Outbound};
use crate::stun;
use crate::wiring::Wiring;

/// What becomes of a connection after a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    GoOn,
    Close,
    /// An answer is queued, after which nothing is written.
    CloseAfterAnswer,
}

/// A datagram came. Gives the message in it with the shard it belongs to.
pub(crate) fn datagram(
    wiring: &Wiring,
    socket: &Arc<DatagramSocket>,
    octets: Bytes,
    source: SocketAddr,
) -> Option<(usize, Arrival)> {
    if stun::is_stun(&octets) {
        keepalive(wiring, socket, &octets, source);
        return None;
    }
    let limits = &wiring.config.messages;
    let framed = match sip::frame::datagram(octets, limits) {
        Ok(framed) => framed,
        Err(invalid) => return invalid_datagram(wiring, socket, invalid, source),
    };
    let Framed::Message(mut raw) = framed else {
        wiring.metrics.keepalives.add_one();
        return None;
    };
    raw.set_source(source);
    match sip::validate(raw, limits) {
        Ok(message) => {
            let peer = |via: Option<&Via<'_>>| Peer::of_datagram(socket, source, via);
            sort(wiring, message, peer, false)
        }
        Err(invalid) => invalid_datagram(wiring, socket, invalid, source),
    }
}

/// STUN on the SIP port (RFC 5626 §4.4.2).
fn keepalive(wiring: &Wiring, socket: &Arc<DatagramSocket>, octets: &[u8], source: SocketAddr) {
    let Some(answer) = stun::answer(octets, source) else {
        return wiring.metrics.invalid_dropped.add_one();
    };
    wiring.metrics.keepalives.add_one();
    let answer = Encoded { head: answer.into(), body: Bytes::new() };
    if socket.send(&answer, source, &mut Vec::new()).is_err() {
        wiring.metrics.send_errors.add_one();
    }
}

/// A message came over a connection. Waits while the shard's queue is full: the other end then waits too.
pub(crate) async fn message(wiring: &Wiring, connection: &Arc<Connection>, mut raw: RawMessage) -> Next {
    raw.set_source(connection.remote());
    match sip::validate(raw, &wiring.config.messages) {
        Ok(message) => {
            let peer = |via: Option<&Via<'_>>| Peer::of_connection(connection, via);
            if matches!(&message, Message::Request(request) if request.method() != Method::Ack) {
                connection.owe();
            }
            if let Some((shard, arrival)) = sort(wiring, message, peer, true)
                && let Some(shard) = wiring.shards.get(shard)
            {
                shard.arrivals.wait(arrival).await;
            }
            Next::GoOn
        }
        Err(invalid) => invalid_on_stream(wiring, connection, &invalid),
    }
}

/// The shard a message belongs to. `None`: it belongs to none and is dropped.
fn sort(
    wiring: &Wiring,
    message: Message,
    peer: impl FnOnce(Option<&Via<'_>>) -> Peer,
    reliable: bool,
) -> Option<(usize, Arrival)> {
    match message {
        Message::Request(request) => {
            wiring.metrics.requests_in.add_one();
            let peer = peer(Some(&request.top_via()));
            let shard = wiring.shard_of(&request);
            Some((shard, Arrival::Request { request: Box::new(request), peer, reliable }))
        }
        Message::Response(response) => {
            wiring.metrics.responses_in.add_one();
            let shard = shard_of(response.branch().unwrap_or_default());
            let flow = peer(None).flow();
            // RFC 3261 §18.1.2: what does not name us in its top Via is not for us.
            let Some(shard) = shard.map(usize::from).filter(|shard| *shard < wiring.shards.len()) else {
                wiring.metrics.foreign_responses.add_one();
                wiring.complaints.note(flow.remote, "the top Via of a response is not ours", "dropped");
                return None;
            };
            Some((shard, Arrival::Response { response: Box::new(response), flow }))
        }
    }
}

/// It belongs to no shard.
fn invalid_datagram<T>(
    wiring: &Wiring,
    socket: &Arc<DatagramSocket>,
    mut invalid: Invalid,
    source: SocketAddr,
) -> Option<T> {
    invalid.raw.set_source(source);
    let Verdict::Answer { status, reason, .. } = invalid.verdict() else {
        wiring.complaints.note(source, invalid.kind, "dropped");
        wiring.metrics.invalid_dropped.add_one();
        return None;
    };
    wiring.complaints.note(source, invalid.kind, "answered");
    let via = invalid.raw.values(HeaderId::Via).next().and_then(Via::parse);
    let Peer::Datagram { to, .. } = Peer::of_datagram(socket, source, via.as_ref()) else { return None };
    let answer = ResponseBuilder::to_request(&invalid, status, &reason).encode();
    match socket.send(&answer, to, &mut Vec::new()) {
        Ok(()) => wiring.metrics.invalid_answered.add_one(),
        Err(_) => wiring.metrics.send_errors.add_one(),
    }
    None
}

/// An invalid message on a connection.
pub(crate) fn invalid_on_stream(wiring: &Wiring, connection: &Connection, invalid: &Invalid) -> Next {
    let noted = |done| wiring.complaints.note(connection.remote(), invalid.kind, done);
    match invalid.verdict() {
        Verdict::Answer { status, reason, close } => {
            noted(if close { "answered, connection closed" } else { "answered" });
            let octets =
                ResponseBuilder::to_request(invalid, status, &reason).received(connection.remote()).encode();
            wiring.metrics.invalid_answered.add_one();
            connection.owe();
            let sent = connection.send(Outbound { last: close, ..Outbound::new(octets, None) });
            match (sent, close) {
                (Ok(()), false) => Next::GoOn,
                (Ok(()), true) => Next::CloseAfterAnswer,
                (Err(_), _) => Next::Close,
            }
        }
        Verdict::Drop => {
            noted("dropped");
            wiring.metrics.invalid_dropped.add_one();
            Next::GoOn
        }
        Verdict::Close => {
            noted("connection closed");
            wiring.metrics.invalid_closed.add_one();
            Next::Close
        }
    }
}

/// The message a stream ended in. It is answered where it can be; other answers may follow.
pub(crate) fn invalid_at_end(wiring: &Wiring, connection: &Connection, invalid: &Invalid) {
    let Verdict::Answer { status, reason, .. } = invalid.verdict() else {
        return wiring.metrics.invalid_dropped.add_one();
    };
    let answer = ResponseBuilder::to_request(invalid, status, &reason).received(connection.remote());
    connection.owe();
    match connection.send(Outbound::new(answer.encode(), None)) {
        Ok(()) => wiring.metrics.invalid_answered.add_one(),
        Err(_) => wiring.metrics.send_errors.add_one(),
    }
}
