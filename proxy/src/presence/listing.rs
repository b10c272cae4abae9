//! What a NOTIFY of a list says (RFC 4662 §5): all of its members or those that changed, each as this watcher may see him,
//! and all together within what his terminal takes.

use std::sync::Arc;

use adapter::Entity;
use adapter::mime::Tree;
use bytes::Bytes;
use presence::backend::Known;
use presence::document::rlmi::{self, Instance, InstanceState, ResourceList};
use presence::document::{Document, Form, multipart::Part};
use presence::event::Package;
use presence::notifier::Format;
use presence::rules::{Decision, Watcher};
use presence::subscription::Subscription;
use presence::table::{Delta, Notice};
use presence::time::Moment;

use super::body::{Base, Made, Maker};
use super::lists::is_ours;
use super::state::{entity, field, made};
use super::{fit, only};

/// Octets that a part is reckoned to have beside its document: delimiter, header, and the line of it in the root.
const AROUND: usize = 512;

/// One member.
struct Member {
    uri: String,
    state: Option<InstanceState>,
    reason: Option<&'static str>,
    part: Option<Part>,
    /// There is no room for it now: it is told with the next NOTIFY.
    is_late: bool,
}

/// How much is shown of those who are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// Documents with what stands beside them.
    Whole,
    /// Documents with links.
    Linked,
}

impl Maker<'_> {
    /// What a NOTIFY of a list says. `message` is what the way there allows for the whole message, if it is narrow.
    pub(super) async fn of_list(
        self,
        notice: &Notice<Base>,
        subscription: &Subscription,
        message: Option<u64>,
    ) -> Arc<Made> {
        let fits = |made: &Made| over(made, notice, message) == 0;
        let members = self.members(notice, subscription, Shown::Whole).await;
        let made = self.assembled(notice, &members);
        if fits(&made) {
            return Arc::new(made);
        }
        if let Some(made) = self.fitted_list(notice, &made, message).await.filter(fits) {
            return Arc::new(made);
        }
        let members = self.members(notice, subscription, Shown::Linked).await;
        let made = self.assembled(notice, &members);
        if fits(&made) {
            return Arc::new(made);
        }
        Arc::new(self.in_part(notice, members, message))
    }

    /// Those for whom there is room, in their order; the others are told later.
    fn in_part(self, notice: &Notice<Base>, mut members: Vec<Member>, message: Option<u64>) -> Made {
        let is_told = |member: &Member| !member.is_late && member.part.is_some();
        let all = self.assembled(notice, &members);
        let mut room = all.body.len().saturating_sub(over(&all, notice, message));
        let mut made = loop {
            put_off(&mut members, room);
            let made = self.assembled(notice, &members);
            // What is reckoned round each part may be too little.
            let over = over(&made, notice, message);
            if over == 0 || !members.iter().any(is_told) {
                break made;
            }
            room = room.saturating_sub(over.max(AROUND));
        };
        // A member whom no datagram has room for is told in one all the same, as there is no other way.
        if message.is_some()
            && !members.iter().any(is_told)
            && let Some(first) = members.iter().position(|member| member.part.is_some())
        {
            put_off_all_but(&mut members, first);
            let alone = self.assembled(notice, &members);
            match over(&alone, notice, None) {
                0 => made = alone,
                _ => put_off(&mut members, 0),
            }
        }
        self.tell_later(notice, &members);
        made
    }

    /// All members, or those that changed.
    async fn members(self, notice: &Notice<Base>, subscription: &Subscription, shown: Shown) -> Vec<Member> {
        let changed: Option<Vec<Arc<str>>> = notice.deltas.as_ref().map(|deltas| {
            let member = |delta: &'_ Delta| match delta {
                Delta::Member(aor) => Some(Arc::clone(aor)),
                Delta::Watcher(_) | Delta::Contacts(_) => None,
            };
            deltas.iter().filter_map(member).collect()
        });
        let host = &self.rooms.policy.load_full().settings.host;
        let mut members = Vec::new();
        for (at, member) in subscription.members.iter().enumerate() {
            let Ok(member) = std::str::from_utf8(member) else { continue };
            if changed.as_ref().is_some_and(|changed| changed.iter().all(|aor| **aor != *member)) {
                continue;
            }
            let content_id = format!("{at}.{}.{:x}@{host}", notice.version, notice.id.0 >> 32);
            members.push(self.member(notice, subscription, member, &content_id, shown).await);
        }
        members
    }

    /// One member as this watcher may see it. Of users of other domains is known what their servers tell, if they are
    /// asked.
    async fn member(
        self,
        notice: &Notice<Base>,
        subscription: &Subscription,
        aor: &str,
        content_id: &str,
        shown: Shown,
    ) -> Member {
        let member =
            |state, reason, part| Member { uri: aor.to_owned(), state, reason, part, is_late: false };
        let form = if notice.format == Format::CpimPidf { Form::CpimPidf } else { Form::Pidf };
        if !is_ours(self.rooms, aor) {
            let known = Some(()).filter(|()| subscription.proven);
            return match known.and_then(|()| self.presence.elsewhere.known(&subscription.watcher, aor)) {
                None | Some(Known::Nothing) => member(None, None, None),
                Some(Known::Pending) => member(Some(InstanceState::Pending), None, None),
                Some(Known::Terminated(why)) => member(Some(InstanceState::Terminated), Some(why), None),
                Some(Known::Active(document)) => {
                    let limits = self.rooms.policy.load().settings.presence.document;
                    let document = match form {
                        Form::Pidf => document,
                        Form::CpimPidf => Document::read(&document, &limits)
                            .map_or(document, |document| document.write(form)),
                    };
                    let part = Part::new(form.media_type(), content_id, document);
                    member(Some(InstanceState::Active), None, Some(part))
                }
            };
        }
        let plain = |document: Document| Some(Part::new(form.media_type(), content_id, document.write(form)));
        match self.decision(subscription, aor) {
            Decision::Block => member(Some(InstanceState::Terminated), Some("rejected"), None),
            Decision::Pending => member(Some(InstanceState::Pending), None, None),
            Decision::PoliteBlock => {
                member(Some(InstanceState::Active), None, plain(Document::closed(&entity(aor))))
            }
            Decision::Allow => {
                let watcher = Watcher { aor: &subscription.watcher, proven: subscription.proven };
                let state = self.state(&aor.into()).seen_by(&watcher);
                let made = match shown {
                    Shown::Whole => self.cached(&state, form, &notice.cpi, None).await,
                    Shown::Linked => {
                        let narrow = self.presence.shared(only(Package::Presence));
                        self.cached(&state, form, &narrow, None).await
                    }
                };
                let kind = made.fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(b"Content-Type"));
                let kind = kind.map(|(_, kind)| String::from_utf8_lossy(kind).into_owned());
                let part = Part::new(kind.unwrap_or_default(), content_id, made.body.clone());
                member(Some(InstanceState::Active), None, Some(part))
            }
        }
    }

    /// The root and the parts it names.
    fn assembled(self, notice: &Notice<Base>, members: &[Member]) -> Made {
        let resource = |member: &Member| {
            let instance = member.state.filter(|_| !member.is_late).map(|state| Instance {
                id: "1".to_owned(),
                state,
                reason: member.reason.map(str::to_owned),
                content_id: member.part.as_ref().map(|part| part.content_id.clone()),
            });
            rlmi::Resource { uri: member.uri.clone(), name: None, instance }
        };
        let list = ResourceList {
            uri: notice.resource.aor.to_string(),
            name: None,
            version: notice.version,
            full_state: notice.deltas.is_none(),
            resources: members.iter().map(resource).collect(),
        };
        let told = members.iter().filter(|member| !member.is_late);
        let parts: Vec<Part> = told.filter_map(|member| member.part.clone()).collect();
        let host = &self.rooms.policy.load_full().settings.host;
        let root = format!("rlmi.{}.{:x}@{host}", notice.version, notice.id.0 >> 32);
        let body = list.assemble(&root, &parts);
        let fields = [("MIME-Version", "1.0".to_owned()), ("Content-Type", body.content_type)];
        let fields = fields.map(|(name, value)| (Bytes::from_static(name.as_bytes()), Bytes::from(value)));
        Made { fields: fields.to_vec(), body: body.octets }
    }

    /// The same as one body, planned as one that passes: its pictures get smaller, or become links.
    async fn fitted_list(self, notice: &Notice<Base>, all: &Made, message: Option<u64>) -> Option<Made> {
        let fields = all.fields.iter().filter_map(|(name, value)| {
            let name =
                if name.eq_ignore_ascii_case(b"Content-Type") { "Content-Type" } else { "MIME-Version" };
            Some(field(name, String::from_utf8(value.to_vec()).ok()?))
        });
        let whole = Arc::new(Entity { fields: fields.collect(), body: all.body.clone() });
        let settings = fit::settings(self.rooms);
        let owner = &notice.resource.aor;
        let fitted = fit::fit(self.rooms, &settings, &whole, &notice.cpi, message, owner).await?;
        // A document that became a link is told later instead.
        let documents = |entity: &Entity| {
            let tree = Tree::read(entity, &settings.guards);
            tree.nodes().filter(|(_, node)| Form::of(&node.content_type.essence).is_some()).count()
        };
        if documents(&fitted) < documents(&whole) {
            return None;
        }
        Some(made(fitted))
    }

    /// Who had no room is told with the next NOTIFY, unless nobody had.
    fn tell_later(self, notice: &Notice<Base>, members: &[Member]) {
        if !members.iter().any(|member| !member.is_late && member.part.is_some()) {
            return;
        }
        let share = self.presence.share(&notice.resource);
        let mut table = share.lock();
        for member in members.iter().filter(|member| member.is_late) {
            table.mark(notice.id, Some(Delta::Member(member.uri.as_str().into())));
        }
    }

    /// What a member says of who watches the list.
    fn decision(self, subscription: &Subscription, member: &str) -> Decision {
        if subscription.proven && *subscription.watcher == *member {
            return Decision::Allow;
        }
        let watcher = Watcher { aor: &subscription.watcher, proven: subscription.proven };
        let default = self.rooms.policy.load().settings.presence.default;
        self.presence.shelf.policy(member).decide(&watcher, default, Moment::from(transport::now()))
    }
}

/// Puts off those for whom there is no room; in their order, so that whoever is late is first the next time.
fn put_off(members: &mut [Member], room: usize) {
    let mut left = room.saturating_sub(members.len().saturating_mul(AROUND / 4));
    for member in members {
        let Some(part) = member.part.as_ref().filter(|_| !member.is_late) else { continue };
        let octets = part.body.len() + AROUND;
        match left.checked_sub(octets) {
            Some(after) => left = after,
            None => member.is_late = true,
        }
    }
}

/// Puts off all but one.
fn put_off_all_but(members: &mut [Member], one: usize) {
    for (at, member) in members.iter_mut().enumerate() {
        member.is_late = at != one && member.part.is_some();
    }
}

/// Octets that a body is beyond what the terminal takes, and the way to it.
fn over(made: &Made, notice: &Notice<Base>, message: Option<u64>) -> usize {
    let fields = made.fields.iter().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>();
    let room = fit::room(&notice.cpi, message, fields.try_into().unwrap_or(u64::MAX));
    let room = room.and_then(|room| usize::try_from(room).ok());
    room.map_or(0, |room| made.body.len().saturating_sub(room))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(octets: usize) -> Member {
        let part = Part::new("application/pidf+xml", "1", vec![b'x'; octets].into());
        let state = Some(InstanceState::Active);
        Member { uri: String::new(), state, reason: None, part: Some(part), is_late: false }
    }

    #[test]
    fn who_has_no_room_is_put_off_and_a_smaller_one_behind_him_is_not() {
        let mut members = [member(1000), member(5000), member(500)];
        put_off(&mut members, 4000);
        assert_eq!(members.map(|member| member.is_late), [false, true, false]);
        let mut members = [member(1000)];
        put_off(&mut members, 100);
        assert!(members[0].is_late);
    }
}
