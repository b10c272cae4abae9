//! Who may watch whom (RFC 3856 §6.6): the rules of a presentity, and what they say of a watcher.

use crate::document;
use crate::document::rules::SubHandling;
use crate::document::view::View;
use crate::time::Moment;

/// What a watcher is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decision {
    /// 403: the watcher hears that he is not wanted.
    Block,
    /// A subscription that is pending until the presentity decides.
    Pending,
    /// A subscription that is active and always says that the presentity is not there.
    PoliteBlock,
    /// What was published.
    Allow,
}

impl Decision {
    /// The names in the config, in the API and on disk.
    pub const ALL: [(&'static str, Self); 4] = [
        ("allow", Self::Allow),
        ("pending", Self::Pending),
        ("polite-block", Self::PoliteBlock),
        ("block", Self::Block),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, decision)| *decision == self).map_or("block", |(name, _)| name)
    }

    /// The decision of that name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, decision)| *decision)
    }
}

/// Whom a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// The user of that canonical address of record, `sip:bob@example.com`.
    One(String),
    /// All users of that domain.
    Domain(String),
    /// Everybody.
    Everyone,
}

impl Who {
    /// Reads `sip:bob@example.com` or `bob@example.com`, `example.com` or `*@example.com`, and `*`. `None` for what
    /// names nobody.
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        if text == "*" {
            return Some(Self::Everyone);
        }
        let bare = text.strip_prefix("sip:").or_else(|| text.strip_prefix("sips:")).unwrap_or(text);
        let bare = bare.strip_prefix("*@").unwrap_or(bare);
        if bare.contains('@') {
            let uri = format!("sip:{bare}").parse::<sip::Uri>().ok()?;
            return uri.user().is_some().then(|| Self::One(uri.aor()));
        }
        let is_host = sip::Host::parse(bare.as_bytes()).is_some();
        is_host.then(|| Self::Domain(bare.to_ascii_lowercase()))
    }

    /// As [`Self::read`] takes it.
    pub fn text(&self) -> String {
        match self {
            Self::One(aor) => aor.clone(),
            Self::Domain(domain) => domain.clone(),
            Self::Everyone => "*".to_owned(),
        }
    }

    /// How narrow it is.
    const fn rank(&self) -> u8 {
        match self {
            Self::One(_) => 2,
            Self::Domain(_) => 1,
            Self::Everyone => 0,
        }
    }

    fn means(&self, watcher: &Watcher<'_>) -> bool {
        match self {
            Self::Everyone => true,
            Self::One(aor) => aor == watcher.aor,
            Self::Domain(domain) => watcher.domain() == domain,
        }
    }
}

/// Who asks to watch.
#[derive(Clone, Copy, Debug)]
pub struct Watcher<'a> {
    /// His address of record.
    pub aor: &'a str,
    /// Whether it was proven: with the password, or by a neighbour who vouches for him.
    pub proven: bool,
}

impl Watcher<'_> {
    fn domain(&self) -> &str {
        self.aor.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// About whom.
    pub who: Who,
    /// What he gets.
    pub decision: Decision,
}

/// The rules of one presentity. The narrowest that means a watcher counts; of several that are as narrow, the one
/// that gives most, as in RFC 4745 §10 permissions add up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// In the order they were given.
    pub rules: Vec<Rule>,
}

impl Rules {
    /// What a watcher gets; `default` where no rule means him. Who did not prove who he is is held to the rules
    /// that refuse the one he says he is, and given nothing by those that allow him.
    pub fn decide(&self, watcher: &Watcher<'_>, default: Decision) -> Decision {
        let about = self.rules.iter().filter(|rule| rule.who.means(watcher));
        let of_everyone = self.rules.iter().filter(|rule| rule.who == Who::Everyone);
        let anybody = of_everyone.map(|rule| rule.decision).max().unwrap_or(default);
        let narrowest = about.max_by_key(|rule| (rule.who.rank(), rule.decision));
        match narrowest.map(|rule| rule.decision) {
            Some(decision) if watcher.proven => decision,
            Some(decision) => decision.min(anybody),
            None => anybody,
        }
    }
}

/// Rules as they were given: a list of ours, or a document of RFC 5025.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// A list.
    Listed(Rules),
    /// A document: there, of all rules about a watcher, the one that gives most counts.
    Document(document::rules::Rules),
}

impl Policy {
    /// As [`Rules::decide`], by the rules that hold at that time.
    pub fn decide(&self, watcher: &Watcher<'_>, default: Decision, now: Moment) -> Decision {
        let rules = match self {
            Self::Listed(rules) => return rules.decide(watcher, default),
            Self::Document(rules) => rules,
        };
        let same = |one: &str, aor: &str| one.parse::<sip::Uri>().is_ok_and(|uri| uri.aor() == aor);
        let of = |watcher: Option<&str>| rules.handling(watcher, now, same).map(Decision::from);
        let about = of(Some(watcher.aor));
        if watcher.proven {
            return about.unwrap_or(default);
        }
        let anybody = of(None).unwrap_or(default);
        about.map_or(anybody, |about| about.min(anybody))
    }
}

impl Policy {
    /// What a watcher who is let in is shown at that time; `None`: everything.
    pub fn view(&self, watcher: &Watcher<'_>, now: Moment) -> Option<View> {
        let Self::Document(rules) = self else { return None };
        let same = |one: &str, aor: &str| one.parse::<sip::Uri>().is_ok_and(|uri| uri.aor() == aor);
        let of = |watcher: Option<&str>| rules.view(watcher, now, same);
        let about = of(Some(watcher.aor));
        if watcher.proven {
            return about;
        }
        // Who leaves out his proof sees no more than who he says he is.
        match (about, of(None)) {
            (Some(about), Some(anybody)) => Some(about.common(&anybody)),
            (about, anybody) => about.or(anybody),
        }
    }

    /// Whether something is hidden from somebody who is let in.
    pub fn hides(&self) -> bool {
        matches!(self, Self::Document(rules) if rules.hides())
    }

    /// When a rule begins or ends to hold next; Unix seconds.
    pub fn next_change(&self, now: Moment) -> Option<u64> {
        match self {
            Self::Listed(_) => None,
            Self::Document(rules) => rules.next_change(now),
        }
    }
}

impl From<SubHandling> for Decision {
    fn from(handling: SubHandling) -> Self {
        match handling {
            SubHandling::Block => Self::Block,
            SubHandling::Confirm => Self::Pending,
            SubHandling::PoliteBlock => Self::PoliteBlock,
            SubHandling::Allow => Self::Allow,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(of: &[(&str, Decision)]) -> Rules {
        let rule =
            |(who, decision): &(&str, Decision)| Rule { who: Who::read(who).unwrap(), decision: *decision };
        Rules { rules: of.iter().map(rule).collect() }
    }

    fn bob(proven: bool) -> Watcher<'static> {
        Watcher { aor: "sip:bob@example.com", proven }
    }

    #[test]
    fn the_narrowest_rule_counts() {
        let all = rules(&[
            ("*", Decision::Block),
            ("example.com", Decision::PoliteBlock),
            ("bob@Example.com", Decision::Allow),
        ]);
        assert_eq!(all.decide(&bob(true), Decision::Pending), Decision::Allow);
        let ann = Watcher { aor: "sip:ann@example.com", proven: true };
        assert_eq!(all.decide(&ann, Decision::Pending), Decision::PoliteBlock);
        let carl = Watcher { aor: "sip:carl@example.org", proven: true };
        assert_eq!(all.decide(&carl, Decision::Pending), Decision::Block);
        assert_eq!(Rules::default().decide(&carl, Decision::Pending), Decision::Pending);
    }

    #[test]
    fn who_proved_nothing_is_given_nothing_and_kept_out_all_the_same() {
        let open = rules(&[("sip:bob@example.com", Decision::Allow)]);
        assert_eq!(open.decide(&bob(false), Decision::Pending), Decision::Pending);
        assert_eq!(open.decide(&bob(false), Decision::Allow), Decision::Allow);
        let closed = rules(&[("sip:bob@example.com", Decision::Block), ("*", Decision::Allow)]);
        assert_eq!(closed.decide(&bob(false), Decision::Pending), Decision::Block);
    }

    #[test]
    fn names_of_nobody_are_not_read() {
        for text in ["", "sip:", "@example.com", "a b", "sip:bob@"] {
            assert_eq!(Who::read(text), None, "{text}");
        }
        for (text, back) in [("*@Example.com", "example.com"), ("sip:bob@H", "sip:bob@h"), (" * ", "*")] {
            assert_eq!(Who::read(text).unwrap().text(), back);
        }
    }

    #[test]
    fn decisions_are_found_by_their_names() {
        for (name, decision) in Decision::ALL {
            assert_eq!((Decision::of(name), decision.name()), (Some(decision), name));
        }
        assert_eq!(Decision::of("maybe"), None);
    }
}
