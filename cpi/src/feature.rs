//! RFC 3840 feature parameters of a Contact (CPI.md §1.4), and which contacts take a method (rule F6).

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

/// Keeps the targets that take `method`, unless none would be left: then all stay (rule F6,
/// RFC 3841 §7.2.2-7.2.4). `features` finds a target's feature parameters.
pub fn retain_method<T>(targets: &mut Vec<T>, method: &str, features: impl Fn(&T) -> Option<&Features>) {
    let takes = |target: &T| features(target).is_none_or(|features| features.takes(method));
    if targets.iter().any(takes) {
        targets.retain(takes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn methods(list: &[&str]) -> Features {
        let mut features = Features::default();
        features.add("methods".into(), Term::List(list.iter().map(|&m| m.to_owned()).collect()));
        features
    }

    #[test]
    fn a_contact_that_lists_methods_without_message_gets_none() {
        let mut targets = vec![methods(&["INVITE"]), methods(&["INVITE", "MESSAGE"]), Features::default()];
        retain_method(&mut targets, "MESSAGE", |features| Some(features));
        assert_eq!(targets, [methods(&["INVITE", "MESSAGE"]), Features::default()]);
    }

    #[test]
    fn the_method_filter_never_empties_the_target_set() {
        let mut targets = vec![methods(&["INVITE"]), methods(&["!MESSAGE"])];
        retain_method(&mut targets, "MESSAGE", |features| Some(features));
        assert_eq!(targets.len(), 2);
    }

    #[test]
    fn contacts_without_feature_parameters_are_immune() {
        let mut targets = vec![None, Some(methods(&["INVITE"]))];
        retain_method(&mut targets, "MESSAGE", Option::as_ref);
        assert_eq!(targets, [None]);
    }

    #[test]
    fn an_excluded_value_admits_all_others() {
        let events = Term::List(vec!["!presence".into(), "message-summary".into()]);
        assert!(!events.admits("presence"));
        assert!(events.admits("message-summary") && events.admits("reg"));
    }
}
