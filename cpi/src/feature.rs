//! RFC 3840 feature parameters of a Contact (CPI.md §1.4).

use std::collections::BTreeMap;
use std::collections::btree_map::Iter;

use serde::{Deserialize, Serialize};

/// The tags that stand in a Contact without `+` and without `sip.` (RFC 3840 §9, §10). `type` is one of
/// them too, but it starts a media group here (rule K1).
const BASE_TAGS: [&str; 19] = [
    "audio",
    "automata",
    "class",
    "duplex",
    "data",
    "control",
    "mobility",
    "description",
    "events",
    "priority",
    "methods",
    "schemes",
    "application",
    "video",
    "language",
    "isfocus",
    "actor",
    "text",
    "extensions",
];

/// Whether `name` (any case) is a base tag other than `type`.
pub fn is_base_tag(name: &[u8]) -> bool {
    BASE_TAGS.iter().any(|tag| name.eq_ignore_ascii_case(tag.as_bytes()))
}

/// The value of one feature parameter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Term {
    /// Written without a value: `audio` is `(sip.audio=TRUE)`. Always `true`.
    Flag(bool),
    /// `"<PC>"`: a string, case-sensitive, alone.
    Text {
        /// What stands between `<` and `>`.
        string: String,
    },
    /// A disjunction of values as written: `!presence`, `fixed`, `#-4:+5.125`.
    List(Vec<String>),
}

impl Term {
    /// Whether the token `value` satisfies the term: it is listed, or something else is excluded
    /// (`"!a,b"` is "not a, or b"). Tokens have no case (RFC 2533 §3.1).
    pub fn admits(&self, value: &str) -> bool {
        match self {
            Self::Flag(_) => value.eq_ignore_ascii_case("true"),
            Self::Text { string } => string == value,
            Self::List(values) => values.iter().any(|each| match each.strip_prefix('!') {
                Some(excluded) => !excluded.eq_ignore_ascii_case(value),
                None => each.eq_ignore_ascii_case(value),
            }),
        }
    }

    /// Whether some value satisfies both terms (the match of RFC 2533 as RFC 3841 §7.2.4 uses it).
    pub fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text { string: one }, Self::Text { string: two }) => one == two,
            (Self::Text { .. }, Self::List(values)) | (Self::List(values), Self::Text { .. }) => {
                // What is excluded is a token or a number, which no string is.
                values.iter().any(|value| value.starts_with('!'))
            }
            (Self::List(ones), Self::List(twos)) => {
                ones.iter().any(|one| twos.iter().any(|two| Filter::of(one).agrees(&Filter::of(two))))
            }
            (Self::Flag(_), other) | (other, Self::Flag(_)) => other.admits("true"),
        }
    }
}

/// One value of a list, as RFC 3841 §8 makes a filter of it.
enum Filter<'a> {
    Token(&'a str),
    Excluded(Box<Filter<'a>>),
    /// Both ends included.
    Range(f64, f64),
}

impl<'a> Filter<'a> {
    fn of(value: &'a str) -> Self {
        if let Some(excluded) = value.strip_prefix('!') {
            return match Self::of(excluded.trim_start_matches('!')) {
                Filter::Excluded(inner) => Filter::Excluded(inner),
                inner => Filter::Excluded(Box::new(inner)),
            };
        }
        value
            .strip_prefix('#')
            .and_then(range)
            .map_or(Filter::Token(value), |(low, high)| Filter::Range(low, high))
    }

    fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Filter::Token(one), Filter::Token(two)) => one.eq_ignore_ascii_case(two),
            (Filter::Range(low, high), Filter::Range(from, to)) => low <= to && from <= high,
            (Filter::Token(_), Filter::Range(..)) | (Filter::Range(..), Filter::Token(_)) => false,
            // Two exclusions leave something, whatever they exclude.
            (Filter::Excluded(_), Filter::Excluded(_)) => true,
            (Filter::Excluded(inner), other) | (other, Filter::Excluded(inner)) => !inner.covers(other),
        }
    }

    /// Whether everything that satisfies `other` satisfies this.
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Filter::Range(low, high), Filter::Range(from, to)) => low <= from && to <= high,
            _ => self.agrees(other),
        }
    }
}

/// `=4`, `>=4`, `<=4` or `-4:+5.125`, after the octothorpe.
fn range(text: &str) -> Option<(f64, f64)> {
    let number = |text: &str| text.trim_start_matches('+').parse::<f64>().ok().filter(|n| n.is_finite());
    if let Some(low) = text.strip_prefix(">=") {
        return Some((number(low)?, f64::INFINITY));
    }
    if let Some(high) = text.strip_prefix("<=") {
        return Some((f64::NEG_INFINITY, number(high)?));
    }
    match text.strip_prefix('=').unwrap_or(text).split_once(':') {
        Some((low, high)) => Some((number(low)?, number(high)?)),
        None => number(text.strip_prefix('=').unwrap_or(text)).map(|n| (n, n)),
    }
}

/// Feature parameters by name in lower case; a tag outside the base set keeps its `+`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Features(BTreeMap<String, Term>);

impl Features {
    /// The term of `tag`, written as in a Contact, in lower case.
    pub fn term(&self, tag: &str) -> Option<&Term> {
        self.0.get(tag)
    }

    /// Adds a term; the first of a tag stays (RFC 3840 §9: one instance). Returns whether it was new.
    pub fn add(&mut self, tag: String, term: Term) -> bool {
        if self.0.contains_key(&tag) {
            return false;
        }
        self.0.insert(tag, term);
        true
    }

    /// All terms in the order of their names.
    pub fn iter(&self) -> Iter<'_, String, Term> {
        self.0.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the contact takes `method`: it does unless it lists methods without it (RFC 3841 §7.2.4).
    pub fn takes(&self, method: &str) -> bool {
        self.term("methods").is_none_or(|methods| methods.admits(method))
    }
}

impl<'a> IntoIterator for &'a Features {
    type Item = (&'a String, &'a Term);
    type IntoIter = Iter<'a, String, Term>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excluded_value_admits_all_others() {
        let events = Term::List(vec!["!presence".into(), "message-summary".into()]);
        assert!(!events.admits("presence"));
        assert!(events.admits("message-summary") && events.admits("reg"));
    }

    #[test]
    fn terms_agree_when_something_satisfies_both() {
        let list = |text: &str| Term::List(text.split(',').map(str::to_owned).collect());
        let text = |string: &str| Term::Text { string: string.to_owned() };
        for (one, two, expected) in [
            (list("INVITE,BYE"), list("bye"), true),
            (list("INVITE,BYE"), list("MESSAGE"), false),
            (list("!presence"), list("presence"), false),
            (list("!presence"), list("reg"), true),
            (list("!presence"), list("!presence"), true),
            (list("#-4:+5.125"), list("#=5"), true),
            (list("#<=4"), list("#>=4"), true),
            (list("#<=4"), list("#>=4.5"), false),
            (list("!#<=4"), list("#3"), false),
            (list("!#<=4"), list("#3:5"), true),
            (list("#3"), list("3"), false),
            (text("PC"), text("PC"), true),
            (text("PC"), text("pc"), false),
            (text("PC"), list("PC"), false),
            (Term::Flag(true), list("TRUE"), true),
            (Term::Flag(true), list("FALSE"), false),
            (Term::Flag(true), Term::Flag(true), true),
        ] {
            assert_eq!(one.agrees(&two), expected, "{one:?} {two:?}");
            assert_eq!(two.agrees(&one), expected, "{two:?} {one:?}");
        }
    }
}
