//! Lists (RFC 4662): one subscription to many, kept under an address or carried by the SUBSCRIBE (RFC 5367).

use std::sync::Arc;

use bytes::Bytes;
use presence::document::{Limits, lists};
use presence::event::Package;
use presence::refusal::Refusal;
use presence::subscription::{Id, Resource};
use sip::{HeaderId, Request, Uri};
use store::SwapError;

use super::{Presence, settings};
use crate::ours::Place;
use crate::rooms::Rooms;

/// The type of a list that a SUBSCRIBE carries.
const LISTS: &str = "application/resource-lists+xml";

/// A list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// Who alone may watch it, if somebody is named: an address of record.
    pub owner: Option<String>,
    /// Whose state it has: addresses of record.
    pub members: Vec<String>,
}

/// Why a list is not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// More than a list may have.
    #[error("more members than a list may have")]
    TooMany,
    /// The store does not take it.
    #[error(transparent)]
    Store(#[from] SwapError),
}

impl Presence {
    /// Members of one list, at most.
    pub const MOST_MEMBERS: usize = 100;

    /// The list of that address, as the API keeps it.
    pub fn kept_list(&self, aor: &str) -> Option<List> {
        self.shelf.list(aor)
    }

    /// Keeps a list under that address, or none any more. Who watches it is to subscribe anew.
    ///
    /// # Errors
    /// [`ListError`].
    pub async fn set_list(&self, aor: &str, list: Option<&List>) -> Result<(), ListError> {
        if list.is_some_and(|list| list.members.len() > Self::MOST_MEMBERS) {
            return Err(ListError::TooMany);
        }
        self.shelf.set_list(aor, list).await?;
        self.end_all(&Resource { package: Package::Presence, aor: aor.into() });
        Ok(())
    }

    /// The list of that address; those of the API before those of the config.
    pub(super) fn list(&self, settings: &settings::Settings, aor: &str) -> Option<List> {
        let configured = || {
            let list = settings.lists.iter().find(|list| canonical(&list.uri).as_deref() == Some(aor))?;
            let members = list.members.iter().filter_map(|member| canonical(member)).collect();
            Some(List { owner: list.owner.as_deref().and_then(canonical), members })
        };
        self.shelf.list(aor).or_else(configured)
    }

    /// Whether a list still has those members and may be watched by that watcher.
    pub(super) fn is_still(
        &self,
        settings: &settings::Settings,
        aor: &str,
        watcher: &str,
        members: &[Bytes],
    ) -> bool {
        self.list(settings, aor).is_some_and(|list| {
            list.owner.is_none_or(|owner| owner == watcher)
                && list.members.iter().map(String::as_bytes).eq(members.iter().map(|member| &**member))
        })
    }

    /// From now on the members tell a list that they change.
    pub(super) fn join(&self, id: Id, list: &Arc<Resource>, members: &[Bytes]) {
        for member in members.iter().filter_map(|member| resource(list.package, member)) {
            self.share(&member).lock().listen(&member, id, Arc::clone(list));
        }
    }

    /// And from now on no longer.
    pub(super) fn leave(&self, id: Id, package: Package, members: &[Bytes]) {
        for member in members.iter().filter_map(|member| resource(package, member)) {
            self.share(&member).lock().leave(&member, id);
        }
    }
}

fn resource(package: Package, member: &[u8]) -> Option<Resource> {
    Some(Resource { package, aor: std::str::from_utf8(member).ok()?.into() })
}

/// An address of record, with or without its scheme.
pub(super) fn canonical(uri: &str) -> Option<String> {
    let with_scheme = if uri.contains(':') { uri.to_owned() } else { format!("sip:{uri}") };
    let uri: Uri = with_scheme.parse().ok()?;
    uri.user().is_some().then(|| uri.aor())
}

/// The members of the list that a SUBSCRIBE carries, as addresses of record.
///
/// # Errors
/// 415 for a body of another type, 400 for one that can't be read or has nobody in it, 413 for too many.
pub(super) fn carried(request: &Request, limits: &Limits) -> Result<Vec<String>, Refusal> {
    let kind = request.header(HeaderId::ContentType).unwrap_or_default();
    let kind = kind.split(|b| *b == b';').next().map(grammar::trim).unwrap_or_default();
    if !kind.eq_ignore_ascii_case(LISTS.as_bytes()) {
        return Err(Refusal::MediaType { accept: LISTS });
    }
    let entries = lists::resource_lists(&request.body(), limits)
        .map_err(|_| Refusal::Malformed("The Resource List Can't Be Read"))?;
    let members: Vec<String> = entries.iter().filter_map(|entry| canonical(&entry.uri)).collect();
    match members.len() {
        0 => Err(Refusal::Malformed("The Resource List Is Empty")),
        count if count > Presence::MOST_MEMBERS => Err(Refusal::TooLarge),
        _ => Ok(members),
    }
}

pub(super) fn is_ours(rooms: &Rooms, member: &str) -> bool {
    let Ok(uri) = member.parse::<Uri>() else { return false };
    let policy = rooms.policy.load();
    uri.host().is_some_and(|host| {
        policy.ours.place_of(host, uri.port(), std::net::Ipv4Addr::UNSPECIFIED.into()) == Place::Domain
    })
}
