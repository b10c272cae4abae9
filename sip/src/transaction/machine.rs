//! One of the four machines, as a [`super::Table`] keeps it.

use std::time::Instant;

use bytes::Bytes;

use super::{InviteClient, InviteServer, NonInviteClient, NonInviteServer, RespondError, Turn, hop};
use crate::Encoded;

#[derive(Debug)]
pub(super) enum Machine {
    InviteClient(Box<InviteClient<Encoded>>),
    InviteServer(Box<InviteServer<Encoded>>),
    NonInviteClient(NonInviteClient<Encoded>),
    NonInviteServer(NonInviteServer<Encoded>),
}

type EncodedTurn<'a> = Turn<'a, Encoded>;

impl Machine {
    pub(super) fn client(method: &[u8], octets: Encoded, reliable: bool, turn: &mut EncodedTurn<'_>) -> Self {
        if method == b"INVITE" {
            Self::InviteClient(Box::new(InviteClient::start(octets, reliable, turn)))
        } else {
            Self::NonInviteClient(NonInviteClient::start(octets, reliable, turn))
        }
    }

    pub(super) fn server(method: &[u8], reliable: bool, turn: &EncodedTurn<'_>) -> Self {
        if method == b"INVITE" {
            Self::InviteServer(Box::new(InviteServer::start(reliable, turn)))
        } else {
            Self::NonInviteServer(NonInviteServer::start(reliable, turn))
        }
    }

    pub(super) fn on_request(&mut self, turn: &mut EncodedTurn<'_>) {
        match self {
            Self::InviteServer(machine) => machine.on_request(turn),
            Self::NonInviteServer(machine) => machine.on_request(turn),
            Self::InviteClient(_) | Self::NonInviteClient(_) => {}
        }
    }

    pub(super) fn on_ack(&mut self, turn: &mut EncodedTurn<'_>) {
        if let Self::InviteServer(machine) = self {
            machine.on_ack(turn);
        }
    }

    /// `sent` is the head of the request, `to` the To of the response: an INVITE makes its ACK of them.
    pub(super) fn on_response(&mut self, status: u16, sent: &[u8], to: &[u8], turn: &mut EncodedTurn<'_>) {
        match self {
            Self::InviteClient(machine) => {
                let ack = || Encoded { head: hop::ack(sent, to), body: Bytes::new() };
                machine.on_response(status, ack, turn);
            }
            Self::NonInviteClient(machine) => machine.on_response(status, turn),
            Self::InviteServer(_) | Self::NonInviteServer(_) => {}
        }
    }

    pub(super) fn respond(
        &mut self,
        status: u16,
        octets: Encoded,
        turn: &mut EncodedTurn<'_>,
    ) -> Result<(), RespondError> {
        match self {
            Self::InviteServer(machine) => machine.respond(status, octets, turn),
            Self::NonInviteServer(machine) => machine.respond(status, octets, turn),
            Self::InviteClient(_) | Self::NonInviteClient(_) => Err(RespondError::Late),
        }
    }

    pub(super) fn abandon(&mut self, turn: &mut EncodedTurn<'_>) {
        if let Self::NonInviteServer(machine) = self {
            machine.abandon(turn);
        }
    }

    /// Ends a server transaction other than an INVITE's that has its final response.
    pub(super) fn finish(&mut self, turn: &mut EncodedTurn<'_>) {
        if let Self::NonInviteServer(machine) = self {
            machine.finish(turn);
        }
    }

    /// Whether it is one that [`Self::finish`] ends.
    pub(super) const fn is_completed(&self) -> bool {
        matches!(self, Self::NonInviteServer(machine) if machine.is_completed())
    }

    pub(super) fn cancel(&mut self, turn: &mut EncodedTurn<'_>) {
        if let Self::InviteClient(machine) = self {
            machine.cancel(turn);
        }
    }

    pub(super) fn on_timeout(&mut self, turn: &mut EncodedTurn<'_>) {
        match self {
            Self::InviteClient(machine) => machine.on_timeout(turn),
            Self::InviteServer(machine) => machine.on_timeout(turn),
            Self::NonInviteClient(machine) => machine.on_timeout(turn),
            Self::NonInviteServer(machine) => machine.on_timeout(turn),
        }
    }

    pub(super) fn on_transport_error(&mut self, turn: &mut EncodedTurn<'_>) {
        match self {
            Self::InviteClient(machine) => machine.on_transport_error(turn),
            Self::InviteServer(machine) => machine.on_transport_error(turn),
            Self::NonInviteClient(machine) => machine.on_transport_error(turn),
            Self::NonInviteServer(machine) => machine.on_transport_error(turn),
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::InviteClient(machine) => machine.deadline(),
            Self::InviteServer(machine) => machine.deadline(),
            Self::NonInviteClient(machine) => machine.deadline(),
            Self::NonInviteServer(machine) => machine.deadline(),
        }
    }

    /// Whether the final response has not come or not gone yet.
    pub(super) const fn is_waiting(&self) -> bool {
        match self {
            Self::InviteClient(machine) => machine.is_waiting(),
            Self::InviteServer(machine) => machine.is_waiting(),
            Self::NonInviteClient(machine) => machine.is_waiting(),
            Self::NonInviteServer(machine) => machine.is_waiting(),
        }
    }
}
