//! What the caller asks of this proxy (RFC 3841): whom it means, and how to go about it. Heard where the
//! domain is ours, and only there (§7.1, §7.2).

use std::sync::Arc;

use cpi::caller::{FULL, Preferences, TooMany};
use registrar::Binding;
use sip::{HeaderId, Method, Request};

use crate::refuse::Refused;

/// The directives of Request-Disposition that are honoured (§9.1). Deviations, each the local policy that
/// §7.1 leaves room for: `redirect` and `recurse` are not, since the one would tell every sender where a
/// user's phones are and leave their bodies unadapted, and the other send requests where a phone says and
/// no operator; nothing is queued; and `sequential` goes on from a phone that is silent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Disposition {
    /// `no-fork`: the best terminal alone.
    pub(crate) no_fork: bool,
    /// `no-cancel`: a 2xx leaves the other branches ringing.
    pub(crate) no_cancel: bool,
    /// `parallel` or `sequential`, against the order by q.
    pub(crate) order: Option<Order>,
}

/// How terminals are to be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// All at once.
    Parallel,
    /// One by one.
    Sequential,
}

/// The directives of a request. Of two that contradict each other the first counts.
pub(crate) fn disposition(request: &Request) -> Disposition {
    let mut disposition = Disposition::default();
    let (mut fork, mut cancel) = (None, None);
    for directive in request.values(HeaderId::RequestDisposition) {
        let is = |word: &str| directive.eq_ignore_ascii_case(word.as_bytes());
        if is("fork") || is("no-fork") {
            fork.get_or_insert(is("fork"));
        } else if is("cancel") || is("no-cancel") {
            cancel.get_or_insert(is("cancel"));
        } else if is("parallel") {
            disposition.order.get_or_insert(Order::Parallel);
        } else if is("sequential") {
            disposition.order.get_or_insert(Order::Sequential);
        }
    }
    disposition.no_fork = fork == Some(false);
    disposition.no_cancel = cancel == Some(false);
    disposition
}

/// The bindings the caller means, in the order of their q and, where that is equal, of what they are worth
/// to the caller. Given the most preferred first.
///
/// # Errors
/// [`Refused::Unavailable`] if the caller wants none of them, [`Refused::Forbidden`] for more rules than are
/// compared.
pub(crate) fn choose(
    request: &Request,
    bindings: Vec<Arc<Binding>>,
) -> Result<Vec<(Arc<Binding>, u16)>, Refused> {
    let (accept, reject) = (request.values(HeaderId::AcceptContact), request.values(HeaderId::RejectContact));
    let stated = Preferences::stated(accept, reject)
        .map_err(|TooMany| Refused::Forbidden("There are more caller preferences than are heard"))?;
    if stated.is_none() && bindings.len() == 1 {
        // What is implied leaves all where it would leave none.
        return Ok(bindings.into_iter().map(|binding| (binding, FULL)).collect());
    }
    let preferences = stated.unwrap_or_else(|| implied(request));
    let mut chosen = preferences.choose(bindings, |binding| binding.features());
    chosen.sort_by_key(|(binding, worth)| std::cmp::Reverse((binding.q, *worth)));
    if chosen.is_empty() { Err(Refused::Unavailable) } else { Ok(chosen) }
}

fn implied(request: &Request) -> Preferences {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let method = request.method();
    let package = request.header(HeaderId::Event).and_then(|event| event.split(|&b| b == b';').next());
    let package = package.map(grammar::trim).filter(|_| method == Method::Subscribe).map(text);
    Preferences::implied(&text(method.as_bytes()), package.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::request;

    fn of(lines: &str) -> Disposition {
        disposition(&request(&format!("MESSAGE sip:a@b SIP/2.0\r\n{lines}"), b""))
    }

    #[test]
    fn directives_are_read_in_either_form_and_the_first_of_a_kind_counts() {
        assert_eq!(of(""), Disposition::default());
        let asked = of("d: No-Fork, sequential\r\nRequest-Disposition: no-cancel, parallel, fork, queue\r\n");
        let expected = Disposition { no_fork: true, no_cancel: true, order: Some(Order::Sequential) };
        assert_eq!(asked, expected);
    }
}
