//! Which CPI counts for a target: REGISTER headers with Contact parameters, answers, precedence, refresh
//! (CPI.md §1.7).

use crate::feature::{Features, Term};
use crate::model::{Cpi, Preference, Q_MAX, Source};
use crate::{ContactCpi, model::WholeLimit};

/// The CPI of a binding: `type` groups of its Contact replace what Accept says, an `encoding` group what
/// Accept-Encoding says, and the rest comes from the headers (rule L2).
pub fn binding(headers: &Cpi, contact: &ContactCpi) -> Cpi {
    Cpi {
        media: contact.groups.clone().or_else(|| headers.media.clone()),
        whole: first_stated(&contact.whole, &headers.whole),
        implicit: contact.implicit.clone(),
        languages: headers.languages.clone().or_else(|| spoken(&contact.features)),
        features: contact.features.clone(),
        source: Source::Binding,
        user_agent: headers.user_agent.clone(),
        charsets: headers.charsets.clone(),
        max_size: headers.max_size,
    }
}

/// The CPI of a SUBSCRIBE, an OPTIONS answer or a 415: a header wins over the equal feature tag, the
/// opposite of [`binding`] (rule L3, RFC 3840 §7, §8).
pub fn headers_win(headers: &Cpi, contact: Option<&ContactCpi>, source: Source) -> Cpi {
    let Some(contact) = contact else { return headers.clone().with_source(source) };
    let implicit = if headers.media.is_some() { Vec::new() } else { contact.implicit.clone() };
    Cpi {
        media: headers.media.clone().or_else(|| contact.groups.clone()),
        whole: first_stated(&headers.whole, &contact.whole),
        implicit,
        ..binding(headers, contact).with_source(source)
    }
}

/// The header CPI that a binding has after a refresh whose headers say `fresh` (rule L5): `fresh` as a whole
/// if any CPI header was there, else what was stored, if the Call-ID is the same.
pub fn refresh(stored: Option<&Cpi>, fresh: Cpi, same_call_id: bool) -> Cpi {
    match stored {
        Some(stored) if same_call_id && !fresh.has_header_cpi() => {
            Cpi { user_agent: fresh.user_agent.or_else(|| stored.user_agent.clone()), ..stored.clone() }
        }
        _ => fresh,
    }
}

/// The CPI that counts among all that is known of one target: the one with the greatest [`Source`]
/// (rule L4). `None` if none of them says anything.
pub fn effective<'a>(known: impl IntoIterator<Item = &'a Cpi>) -> Option<&'a Cpi> {
    known.into_iter().filter(|cpi| !cpi.is_unknown()).max_by_key(|cpi| cpi.source)
}

fn first_stated(first: &[WholeLimit], second: &[WholeLimit]) -> Vec<WholeLimit> {
    if first.is_empty() { second.to_vec() } else { first.to_vec() }
}

/// The feature tag `language` as an Accept-Language would say it (RFC 3840 §7 has them equal).
fn spoken(features: &Features) -> Option<Vec<Preference>> {
    let Term::List(values) = features.term("language")? else { return None };
    let mut list: Vec<Preference> = values
        .iter()
        .map(|value| match value.strip_prefix('!') {
            Some(refused) => Preference { name: refused.to_ascii_lowercase(), q: 0 },
            None => Preference { name: value.to_ascii_lowercase(), q: Q_MAX },
        })
        .collect();
    if list.iter().all(|preference| preference.q == 0) {
        list.push(Preference { name: "*".to_owned(), q: Q_MAX });
    }
    Some(list)
}
