//! Next hops that are passed over for a while: those that failed a moment ago, and those that said how long
//! they want to be left alone (RFC 3261 §21.5.4).
//!
//! One that failed is tried last, one that asked for its peace not at all. What is remembered is a fact about
//! that very way, the name that its TLS server must prove included; a phone's own connection is never in here,
//! since there is no other to take its place.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sip::{HeaderId, Response};
use tokio::time::Instant;
use transport::Destination;

use crate::hop::Hop;

/// Ways remembered. When there are more, new ones are not, until old ones are over.
const REMEMBERED: usize = 4096;

/// The longest that a next hop is left alone, whatever it asks for: what one of its users may have brought
/// about must not shut the others out for long.
const LONGEST_PEACE: Duration = Duration::from_secs(60);

/// The table.
#[derive(Debug, Default)]
pub(crate) struct Avoided(Mutex<HashMap<Destination, Known>>);

#[derive(Clone, Copy, Debug)]
struct Known {
    why: Why,
    until: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    Failed,
    WantsPeace,
}

impl Avoided {
    /// The hops in the order in which they are to be tried now; none if all want their peace.
    pub(crate) fn order(&self, hops: Vec<Hop>, now: Instant) -> Vec<Hop> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_empty() {
            return hops;
        }
        let why = |hop: &Hop| known.get(&hop.destination).filter(|one| now < one.until).map(|one| one.why);
        let (good, failed): (Vec<Hop>, Vec<Hop>) = hops
            .into_iter()
            .filter(|hop| why(hop) != Some(Why::WantsPeace))
            .partition(|hop| why(hop).is_none());
        good.into_iter().chain(failed).collect()
    }

    /// Nothing came of a hop: others go before it for so long.
    pub(crate) fn failed(&self, hop: &Hop, now: Instant, time: Duration) {
        self.remember(hop, Known { why: Why::Failed, until: now + time }, now);
    }

    /// It answered 503: with a Retry-After it is left alone so long, without one it failed.
    pub(crate) fn refused(&self, hop: &Hop, refusal: &Response, now: Instant, time: Duration) {
        match retry_after(refusal) {
            Some(peace) => {
                let until = now + peace.min(LONGEST_PEACE);
                self.remember(hop, Known { why: Why::WantsPeace, until }, now);
            }
            None => self.failed(hop, now, time),
        }
    }

    /// It answered.
    pub(crate) fn works(&self, hop: &Hop) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.is_empty() {
            known.remove(&hop.destination);
        }
    }

    fn remember(&self, hop: &Hop, one: Known, now: Instant) {
        if hop.flow_only || one.until <= now {
            return;
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.retain(|_, one| now < one.until);
        }
        if known.len() < REMEMBERED || known.contains_key(&hop.destination) {
            known.insert(hop.destination.clone(), one);
        }
    }
}

/// The seconds of Retry-After, without its comment and parameters (RFC 3261 §20.33).
fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.header(HeaderId::RetryAfter)?;
    let digits = value.iter().take_while(|b| b.is_ascii_digit()).count();
    let seconds = grammar::decimal(value.get(..digits)?)?;
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use transport::Protocol;

    use super::*;
    use crate::testing::response;

    const TIME: Duration = Duration::from_secs(30);

    fn hop(port: u16) -> Hop {
        let addr = ([192, 0, 2, 1], port).into();
        Hop { destination: Destination::to(Protocol::Udp, addr, None), flow_only: false }
    }

    fn ports(avoided: &Avoided, now: Instant) -> Vec<u16> {
        let ordered = avoided.order(vec![hop(1), hop(2), hop(3)], now);
        ordered.iter().map(|hop| hop.destination.remote().port()).collect()
    }

    #[test]
    fn what_failed_is_tried_last_for_a_while_or_until_it_answers() {
        let (avoided, now) = (Avoided::default(), Instant::now());
        avoided.failed(&hop(1), now, TIME);
        assert_eq!(ports(&avoided, now), [2, 3, 1]);
        assert_eq!(ports(&avoided, now + TIME), [1, 2, 3]);
        avoided.works(&hop(1));
        assert_eq!(ports(&avoided, now), [1, 2, 3]);
        avoided.failed(&hop(1), now, Duration::ZERO);
        assert_eq!(ports(&avoided, now), [1, 2, 3], "switched off");
    }

    #[test]
    fn who_wants_its_peace_has_it_as_long_as_it_says_but_not_for_ever() {
        let (avoided, now) = (Avoided::default(), Instant::now());
        let busy =
            |value: &str| response(&format!("SIP/2.0 503 Service Unavailable\r\nRetry-After: {value}\r\n"));
        avoided.refused(&hop(2), &busy("18;duration=3600 (in a meeting)"), now, TIME);
        assert_eq!(ports(&avoided, now), [1, 3]);
        assert_eq!(ports(&avoided, now + Duration::from_secs(18)), [1, 2, 3]);
        avoided.refused(&hop(3), &busy("99999999999999999999"), now, TIME);
        avoided.refused(&hop(1), &busy("86400"), now, TIME);
        assert_eq!(ports(&avoided, now), [3], "no number is no wish");
        assert_eq!(ports(&avoided, now + LONGEST_PEACE), [1, 2, 3]);
    }

    #[test]
    fn a_phones_own_connection_is_not_avoided_and_the_table_is_bounded() {
        let (avoided, now) = (Avoided::default(), Instant::now());
        avoided.failed(&Hop { flow_only: true, ..hop(1) }, now, TIME);
        assert_eq!(ports(&avoided, now), [1, 2, 3]);
        for n in 0..=u16::MAX {
            avoided.failed(&hop(n), now, TIME);
        }
        assert_eq!(avoided.0.lock().unwrap().len(), REMEMBERED);
        avoided.failed(&hop(60_000), now + TIME, TIME);
        assert_eq!(avoided.0.lock().unwrap().len(), 1);
    }

    #[test]
    fn another_name_at_the_same_address_is_another_way() {
        let (avoided, now) = (Avoided::default(), Instant::now());
        let named = |name| Hop {
            destination: Destination::to(Protocol::Tls, ([192, 0, 2, 1], 5061).into(), Some(name)),
            flow_only: false,
        };
        avoided.failed(&named("evil.example"), now, TIME);
        let ordered = avoided.order(vec![named("good.example"), named("evil.example")], now);
        assert_eq!(ordered, [named("good.example"), named("evil.example")]);
    }
}
