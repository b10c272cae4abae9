//! Who may watch: application/auth-policy+xml (RFC 4745, RFC 5025), as far as it says how a subscription is handled.
//!
//! Conditions are who watches (`identity`) and when (`validity`).
//!
//! What an allowing rule shows is its `transformations`. Deviation: one without them shows everything, where RFC 5025 §3.3
//! would show nothing: who writes a rule by hand that lets somebody in means that he sees something.

use super::error::DocumentError;
use super::limits::Limits;
use super::namespace::{COMMON_POLICY, PRES_RULES};
use super::reader;
use super::tree::Element;
use super::validity::Validity;
use super::view::View;
use crate::time::Moment;

/// The media type.
pub const MEDIA_TYPE: &str = "application/auth-policy+xml";

/// Rules of one document at most.
const RULES: usize = 256;

/// What becomes of a subscription (RFC 5025 §3.2.1); the greatest of all rules that match counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubHandling {
    /// It is refused.
    Block,
    /// It waits for the user's word.
    Confirm,
    /// It is accepted and told that nobody is there.
    PoliteBlock,
    /// It is accepted.
    Allow,
}

/// The rules of one user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// In the order of the document.
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its id.
    pub id: String,
    /// Whom it is about: any of these; `None`: everybody, known or not.
    pub identities: Option<Vec<Identity>>,
    /// When it holds; `None`: always.
    pub validity: Option<Validity>,
    /// What it grants.
    pub handling: SubHandling,
    /// What it shows; `None`: everything.
    pub view: Option<View>,
}

/// Whom a rule is about (RFC 4745 §7.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The user with that URI.
    One(String),
    /// Everybody known, or everybody of a domain, but for some.
    Many {
        /// The domain, in lower case; `None`: any.
        domain: Option<String>,
        /// URIs of those who are not meant.
        except: Vec<String>,
        /// Domains that are not meant, in lower case.
        except_domains: Vec<String>,
    },
}

impl Rules {
    /// Reads a `ruleset`.
    ///
    /// # Errors
    /// [`DocumentError`]; conditions and permissions that are not done here, but would change whom a rule grants what,
    /// are [`DocumentError::Unsupported`].
    pub fn read(octets: &[u8], limits: &Limits) -> Result<Rules, DocumentError> {
        let root = reader::read(octets, limits)?.root;
        if !root.name.is(COMMON_POLICY, "ruleset") {
            return Err(DocumentError::Root("ruleset"));
        }
        let rules: Vec<Rule> = root.all(COMMON_POLICY, "rule").map(rule).collect::<Result<_, _>>()?;
        if rules.len() > RULES { Err(DocumentError::TooMany(RULES)) } else { Ok(Rules { rules }) }
    }

    /// What becomes of that watcher's subscription at that time. `None`: no rule is about it. `watcher` is the URI it is
    /// known by, `None` if it is not known; `same` says whether two URIs name the same user.
    pub fn handling(
        &self,
        watcher: Option<&str>,
        now: Moment,
        same: impl Fn(&str, &str) -> bool,
    ) -> Option<SubHandling> {
        let matching = self.rules.iter().filter(|rule| rule.holds(now) && rule.is_about(watcher, &same));
        matching.map(|rule| rule.handling).max()
    }

    /// What that watcher is shown at that time, of all rules that let him in; `None`: everything. As for
    /// [`Self::handling`].
    pub fn view(
        &self,
        watcher: Option<&str>,
        now: Moment,
        same: impl Fn(&str, &str) -> bool,
    ) -> Option<View> {
        let matching = self.rules.iter().filter(|rule| rule.holds(now) && rule.is_about(watcher, &same));
        let views =
            matching.filter(|rule| rule.handling == SubHandling::Allow).map(|rule| rule.view.as_ref());
        let mut all: Option<View> = None;
        for view in views {
            // One that shows everything leaves nothing to add.
            all.get_or_insert_default().add(view?);
        }
        all.filter(|view| !view.is_whole())
    }

    /// Whether something is hidden from somebody.
    pub fn hides(&self) -> bool {
        self.rules.iter().any(|rule| rule.view.is_some())
    }

    /// When a rule begins or ends to hold next; Unix seconds.
    pub fn next_change(&self, now: Moment) -> Option<u64> {
        self.rules.iter().filter_map(|rule| rule.validity.as_ref()?.next_change(now)).min()
    }
}

impl SubHandling {
    /// The handling with that name.
    pub fn of(name: &str) -> Option<SubHandling> {
        Some(match name {
            "block" => Self::Block,
            "confirm" => Self::Confirm,
            "polite-block" => Self::PoliteBlock,
            "allow" => Self::Allow,
            _ => return None,
        })
    }
}

impl Rule {
    fn holds(&self, now: Moment) -> bool {
        self.validity.as_ref().is_none_or(|validity| validity.holds(now))
    }

    fn is_about(&self, watcher: Option<&str>, same: &dyn Fn(&str, &str) -> bool) -> bool {
        let Some(identities) = &self.identities else { return true };
        // An empty identity is everybody's, known or not (RFC 5025 §3.1.1.2).
        if identities.is_empty() {
            return true;
        }
        let Some(watcher) = watcher else { return false };
        let domain = domain(watcher);
        identities.iter().any(|identity| match identity {
            Identity::One(uri) => same(uri, watcher),
            Identity::Many { domain: wanted, except, except_domains } => {
                wanted.as_ref().is_none_or(|wanted| *wanted == domain)
                    && !except.iter().any(|uri| same(uri, watcher))
                    && !except_domains.contains(&domain)
            }
        })
    }
}

fn domain(uri: &str) -> String {
    let after = uri.split_once('@').map_or("", |(_, after)| after);
    after.split([':', ';', '?']).next().unwrap_or_default().to_ascii_lowercase()
}

fn rule(element: &Element) -> Result<Rule, DocumentError> {
    let (mut identities, mut validity) = (None, None);
    if let Some(conditions) = element.first(COMMON_POLICY, "conditions") {
        for condition in conditions.elements() {
            if condition.name.is(COMMON_POLICY, "validity") {
                if validity.replace(Validity::read(condition)?).is_some() {
                    return Err(DocumentError::Content("a rule has two validities"));
                }
                continue;
            }
            if !condition.name.is(COMMON_POLICY, "identity") {
                return Err(DocumentError::Unsupported("a condition other than identity and validity"));
            }
            if identities.is_some() {
                return Err(DocumentError::Content("a rule has two identities"));
            }
            identities = Some(condition.elements().map(identity).collect::<Result<Vec<_>, _>>()?);
        }
    }
    let view = element.first(COMMON_POLICY, "transformations").map(View::read).transpose()?;
    let handling =
        element.first(COMMON_POLICY, "actions").and_then(|it| it.first(PRES_RULES, "sub-handling"));
    let handling = match handling {
        Some(named) => SubHandling::of(&named.text())
            .ok_or(DocumentError::Content("sub-handling is block, confirm, polite-block or allow"))?,
        None => SubHandling::Block,
    };
    let id = element.attribute("id").unwrap_or_default().into_owned();
    Ok(Rule { id, identities, validity, handling, view: view.filter(|view| !view.is_whole()) })
}

fn identity(element: &Element) -> Result<Identity, DocumentError> {
    let id = |element: &Element| {
        element.attribute("id").map(|id| id.trim().to_owned()).filter(|id| !id.is_empty())
    };
    let domain =
        |element: &Element| element.attribute("domain").map(|domain| domain.trim().to_ascii_lowercase());
    if element.name.is(COMMON_POLICY, "one") {
        let uri = id(element).ok_or(DocumentError::Content("<one> has no id"))?;
        return Ok(Identity::One(uri));
    }
    if !element.name.is(COMMON_POLICY, "many") {
        return Err(DocumentError::Unsupported("an identity other than one and many"));
    }
    let excepted = || element.all(COMMON_POLICY, "except");
    Ok(Identity::Many {
        domain: domain(element),
        except: excepted().filter_map(id).collect(),
        except_domains: excepted().filter_map(domain).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rules: &str) -> Result<Rules, DocumentError> {
        let text = format!(
            "<cr:ruleset xmlns=\"urn:ietf:params:xml:ns:pres-rules\" xmlns:cr=\"urn:ietf:params:xml:ns:common-policy\">{rules}</cr:ruleset>"
        );
        Rules::read(text.as_bytes(), &Limits::default())
    }

    fn one(conditions: &str, handling: &str) -> String {
        format!(
            "<cr:rule id=\"a\"><cr:conditions>{conditions}</cr:conditions><cr:actions><sub-handling>{handling}</sub-handling></cr:actions></cr:rule>"
        )
    }

    fn handling(rules: &Rules, watcher: &str) -> Option<SubHandling> {
        rules.handling(Some(watcher), Moment::default(), |a, b| a == b)
    }

    #[test]
    fn the_example_of_the_rfc_is_read() {
        let rules = read(
            "<cr:rule id=\"a\"><cr:conditions><cr:identity><cr:one id=\"sip:user@example.com\"/></cr:identity></cr:conditions><cr:actions><sub-handling>allow</sub-handling></cr:actions><cr:transformations><provide-services><all-services/></provide-services><provide-persons><all-persons/></provide-persons><provide-all-attributes/></cr:transformations></cr:rule>",
        )
        .unwrap();
        assert_eq!(handling(&rules, "sip:user@example.com"), Some(SubHandling::Allow));
        assert_eq!(handling(&rules, "sip:other@example.com"), None);
        assert_eq!(rules.handling(None, Moment::default(), |a, b| a == b), None);
    }

    #[test]
    fn the_greatest_of_all_that_match_counts() {
        let domain = "<cr:identity><cr:many domain=\"Example.com\"><cr:except id=\"sip:bad@example.com\"/></cr:many></cr:identity>";
        let anybody = "<cr:identity><cr:many><cr:except domain=\"spam.example\"/></cr:many></cr:identity>";
        let all = one(domain, "allow") + &one(anybody, "confirm") + &one("", "polite-block");
        let rules = read(&all).unwrap();
        assert_eq!(handling(&rules, "sip:a@example.com;transport=tcp"), Some(SubHandling::Allow));
        assert_eq!(handling(&rules, "sip:bad@example.com"), Some(SubHandling::PoliteBlock));
        assert_eq!(handling(&rules, "sip:a@spam.example"), Some(SubHandling::PoliteBlock));
        assert_eq!(rules.handling(None, Moment::default(), |a, b| a == b), Some(SubHandling::PoliteBlock));
        let rules = read(&(one(anybody, "confirm") + &one("<cr:identity/>", "block"))).unwrap();
        assert_eq!(handling(&rules, "sip:a@h"), Some(SubHandling::Confirm));
        assert_eq!(handling(&rules, "sip:a@spam.example"), Some(SubHandling::Block));
        assert_eq!(rules.handling(None, Moment::default(), |a, b| a == b), Some(SubHandling::Block));
        assert!(SubHandling::Block < SubHandling::Confirm && SubHandling::PoliteBlock < SubHandling::Allow);
    }

    #[test]
    fn a_rule_holds_in_its_times_and_in_no_other() {
        let span = |from: u32, until: u32| {
            format!(
                "<cr:from>1970-01-01T00:00:{from}Z</cr:from><cr:until>1970-01-01T00:00:{until}Z</cr:until>"
            )
        };
        let validity = format!("<cr:validity>{}{}</cr:validity>", span(10, 20), span(40, 50));
        let rules = read(&(one(&validity, "allow") + &one("", "confirm"))).unwrap();
        let at = |second| rules.handling(Some("sip:a@h"), Moment::from_seconds(second), |a, b| a == b);
        for (second, expected) in
            [(9, "confirm"), (10, "allow"), (19, "allow"), (20, "confirm"), (45, "allow")]
        {
            assert_eq!(at(second), SubHandling::of(expected), "{second}");
        }
        let next = [0, 10, 20, 40, 50].map(|second| rules.next_change(Moment::from_seconds(second)));
        assert_eq!(next, [Some(10), Some(20), Some(40), Some(50), None]);
    }

    #[test]
    fn a_rule_that_would_hide_something_is_refused_and_not_ignored() {
        for rule in [
            "<cr:rule id=\"a\"><cr:transformations><provide-devices><colour>x</colour></provide-devices></cr:transformations></cr:rule>",
            "<cr:rule id=\"a\"><cr:transformations><provide-shoes>true</provide-shoes></cr:transformations></cr:rule>",
            "<cr:rule id=\"a\"><cr:transformations><provide-mood xmlns=\"urn:x\">true</provide-mood></cr:transformations></cr:rule>",
            &one("<cr:sphere value=\"work\"/>", "allow"),
            &one("<cr:identity><other xmlns=\"urn:x\"/></cr:identity>", "allow"),
        ] {
            assert!(matches!(read(rule), Err(DocumentError::Unsupported(_))), "{rule}");
        }
        for rule in [
            one("<cr:identity><cr:one/></cr:identity>", "allow"),
            one("", "perhaps"),
            one("<cr:validity/>", "allow"),
            one("<cr:validity><cr:from>2026-01-01T00:00:00Z</cr:from></cr:validity>", "allow"),
            one("<cr:validity><cr:from>now</cr:from><cr:until>then</cr:until></cr:validity>", "allow"),
            one("<cr:identity/><cr:identity/>", "allow"),
        ] {
            assert!(matches!(read(&rule), Err(DocumentError::Content(_))), "{rule}");
        }
        assert_eq!(read(&one("", "block").repeat(RULES + 1)), Err(DocumentError::TooMany(RULES)));
        assert_eq!(Rules::read(b"<ruleset/>", &Limits::default()), Err(DocumentError::Root("ruleset")));
        assert_eq!(read("<cr:rule id=\"a\"/>").unwrap().rules[0].handling, SubHandling::Block);
    }
}
