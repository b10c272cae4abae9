//! Caller preferences: which of several contacts a request is meant for (RFC 3841 §7.2, rule F6).
//!
//! Input is the values of Accept-Contact and Reject-Contact. Where a request has neither, its method and its
//! event package are the preference (§7.2.2).

use crate::contact::term;
use crate::entry::lower;
use crate::feature::{Features, Term, is_base_tag};

/// Values of both headers together, and feature tags of one value; more are refused (§11: "around 20").
pub const MOST: usize = 20;

/// What a contact that meets every preference, or none that could be compared, is worth to the caller.
pub const FULL: u16 = 1000;

/// The headers hold more than [`MOST`] rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

/// What one request prefers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preferences {
    accept: Vec<Wish>,
    reject: Vec<Wish>,
    explicit: bool,
}

/// One value of a header: terms that all must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Wish {
    terms: Vec<(String, Term)>,
    require: bool,
    explicit: bool,
}

impl Preferences {
    /// The preferences that a request states. `None`: it has no such header.
    ///
    /// # Errors
    /// [`TooMany`] rules to compare with every contact.
    pub fn stated<'v>(
        accept: impl Iterator<Item = &'v [u8]>,
        reject: impl Iterator<Item = &'v [u8]>,
    ) -> Result<Option<Self>, TooMany> {
        let accept = accept.take(MOST + 1).map(Wish::read).collect::<Result<Vec<_>, _>>()?;
        let reject = reject.take(MOST + 1).map(Wish::read).collect::<Result<Vec<_>, _>>()?;
        match accept.len() + reject.len() {
            0 => Ok(None),
            1..=MOST => Ok(Some(Self { accept, reject, explicit: true })),
            _ => Err(TooMany),
        }
    }

    /// The preferences that lie in the request itself: its method, and the event package of one that
    /// subscribes.
    pub fn implied(method: &str, event: Option<&str>) -> Self {
        let one = |tag: &str, value: &str| (tag.to_owned(), Term::List(vec![value.to_owned()]));
        let events = event.map(|event| one("events", event));
        let terms = std::iter::once(one("methods", method)).chain(events).collect();
        Self {
            accept: vec![Wish { terms, require: true, explicit: false }],
            reject: Vec::new(),
            explicit: false,
        }
    }

    /// Chooses among targets, and gives each that is left its worth to the caller, 0 to [`FULL`], by which
    /// those of equal q are ordered. One without feature parameters is not judged. What is implied leaves
    /// all when it would leave none, and orders nothing. Deviation from §7.2.4, which would put a phone
    /// that lists no methods behind one that does: both take the message.
    pub fn choose<T>(&self, targets: Vec<T>, features: impl Fn(&T) -> Option<&Features>) -> Vec<(T, u16)> {
        let judged = |target: &T| {
            features(target).filter(|own| !own.is_empty()).map_or(Some(FULL), |own| self.worth(own))
        };
        if !self.explicit {
            let any = targets.iter().any(|target| judged(target).is_some());
            return targets
                .into_iter()
                .filter(|target| !any || judged(target).is_some())
                .map(|t| (t, FULL))
                .collect();
        }
        let judge = |target: T| judged(&target).map(|worth| (target, worth));
        targets.into_iter().filter_map(judge).collect()
    }

    /// What a contact with these features is worth to the caller; `None`: the caller does not want it.
    fn worth(&self, features: &Features) -> Option<u16> {
        if self.reject.iter().any(|wish| wish.is_covered_by(features) && wish.matches(features)) {
            return None;
        }
        let (mut sum, mut counted) = (0, 0);
        for wish in &self.accept {
            if !wish.matches(features) {
                if wish.require {
                    return None;
                }
                continue;
            }
            let score = wish.score(features);
            sum += match (wish.explicit && score < FULL, wish.require) {
                (true, true) => return None,
                (true, false) => 0,
                (false, _) => u32::from(score),
            };
            counted += 1;
        }
        // With no predicate left in the matching set there is nothing to average.
        let nothing = if self.accept.is_empty() { FULL } else { 0 };
        Some(sum.checked_div(counted).map_or(nothing, |worth| u16::try_from(worth).unwrap_or(FULL)))
    }
}

impl Wish {
    fn read(value: &[u8]) -> Result<Self, TooMany> {
        let params = value.iter().position(|&b| b == b';').and_then(|at| value.get(at..));
        let mut wish = Self::default();
        for param in grammar::params(params.unwrap_or_default()) {
            if param.is(b"require") {
                wish.require = true;
            } else if param.is(b"explicit") {
                wish.explicit = true;
            } else if param.name.starts_with(b"+") || is_base_tag(param.name) {
                if wish.terms.len() == MOST {
                    return Err(TooMany);
                }
                wish.terms.push((tag(&lower(param.name)), term(&param)));
            }
        }
        Ok(wish)
    }

    /// RFC 2533 matching: some device could be both. A tag that the contact does not name hinders nothing.
    fn matches(&self, features: &Features) -> bool {
        self.terms.iter().all(|(tag, term)| own(features, tag).is_none_or(|own| own.agrees(term)))
    }

    fn is_covered_by(&self, features: &Features) -> bool {
        self.terms.iter().all(|(tag, _)| own(features, tag).is_some())
    }

    /// How many of the terms the contact says anything about, in thousandths.
    fn score(&self, features: &Features) -> u16 {
        let named = self.terms.iter().filter(|(tag, _)| own(features, tag).is_some()).count();
        let thousandths = (usize::from(FULL) * named).checked_div(self.terms.len());
        thousandths.and_then(|score| u16::try_from(score).ok()).unwrap_or(FULL)
    }
}

/// A base tag needs no `+`, and means the same with one (§7.2.3 step 3).
fn tag(name: &str) -> String {
    match name.strip_prefix('+') {
        Some(base) if is_base_tag(base.as_bytes()) => base.to_owned(),
        _ => name.to_owned(),
    }
}

fn own<'f>(features: &'f Features, tag: &str) -> Option<&'f Term> {
    features.term(tag).or_else(|| features.term(&format!("+{tag}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(params: &str) -> Features {
        crate::contact::decode(grammar::params(params.as_bytes()), &crate::Extensions::NONE).features
    }

    /// The contacts that are left, with their worth.
    fn chosen(accept: &[&str], reject: &[&str], contacts: &[&str]) -> Vec<(usize, u16)> {
        let octets = |values: &[&str]| values.iter().map(|v| v.as_bytes().to_vec()).collect::<Vec<_>>();
        let (accept, reject) = (octets(accept), octets(reject));
        let preferences = Preferences::stated(accept.iter().map(|v| &v[..]), reject.iter().map(|v| &v[..]))
            .unwrap()
            .unwrap();
        let all: Vec<_> = contacts.iter().map(|params| features(params)).enumerate().collect();
        let left = preferences.choose(all, |(_, features)| Some(features));
        left.into_iter().map(|((at, _), worth)| (at, worth)).collect()
    }

    /// RFC 3841 §7.2.5: u1 is left out, u4 for its worth behind u2 of the same q, u5 immune, u3 rejected.
    #[test]
    fn the_example_of_the_rfc() {
        let contacts = [
            r#";audio;video;methods="INVITE,BYE";q=0.2"#,
            r#";audio="FALSE";methods="INVITE";actor="msg-taker";q=0.2"#,
            r#";audio;actor="msg-taker";methods="INVITE";video;q=0.3"#,
            r#";audio;methods="INVITE,OPTIONS";q=0.2"#,
            ";q=0.5",
        ];
        let accept =
            [r#"*;audio;require"#, r#"*;video;explicit"#, r#"*;methods="BYE";class="business";q=1.0"#];
        let reject = [r#"*;actor="msg-taker";video"#];
        assert_eq!(chosen(&accept, &reject, &contacts), [(0, 833), (3, 500), (4, 1000)]);
    }

    #[test]
    fn require_drops_what_contradicts_and_explicit_what_does_not_say() {
        let contacts = ["video", "audio", r#"video="FALSE""#];
        assert_eq!(chosen(&["*;video"], &[], &contacts), [(0, 1000), (1, 0), (2, 0)]);
        assert_eq!(chosen(&["*;video;require"], &[], &contacts), [(0, 1000), (1, 0)]);
        assert_eq!(chosen(&["*;video;require;explicit"], &[], &contacts), [(0, 1000)]);
    }

    #[test]
    fn reject_leaves_out_only_what_says_it_has_it() {
        assert_eq!(chosen(&[], &["*;automata"], &["automata", "audio", ""]), [(1, 1000), (2, 1000)]);
        assert_eq!(chosen(&[], &["*"], &["audio", ""]), [(1, 1000)], "no term: all that can be judged");
    }

    #[test]
    fn what_is_stated_may_leave_nothing_and_what_is_implied_may_not() {
        assert!(chosen(&[r#"*;mobility="mobile";require"#], &[], &[r#"mobility="fixed""#]).is_empty());
        let all = vec![features(r#"methods="INVITE""#), features(r#"methods="INVITE,BYE""#)];
        assert_eq!(Preferences::implied("MESSAGE", None).choose(all, |own| Some(own)).len(), 2);
    }

    #[test]
    fn a_method_and_an_event_package_are_preferences() {
        let all = || {
            vec![
                features(r#"methods="INVITE""#),
                features(r#"methods="SUBSCRIBE";events="reg""#),
                features(r#"methods="SUBSCRIBE";events="presence,reg""#),
                features(""),
            ]
        };
        let left = |event| Preferences::implied("SUBSCRIBE", event).choose(all(), |own| Some(own)).len();
        assert_eq!((left(None), left(Some("presence"))), (3, 2));
    }

    #[test]
    fn more_rules_than_twenty_are_too_many() {
        let read =
            |values: &[Vec<u8>]| Preferences::stated(values.iter().map(|v| &v[..]), std::iter::empty());
        let many: Vec<_> = (0..=MOST).map(|_| b"*;audio".to_vec()).collect();
        assert_eq!(read(&many), Err(TooMany));
        assert!(read(many.get(..MOST).unwrap()).is_ok());
        let long: String = (0..=MOST).map(|n| format!(";+t{n}")).collect();
        assert_eq!(read(&[format!("*{long}").into_bytes()]), Err(TooMany));
        assert_eq!(read(&[]), Ok(None));
    }
}
