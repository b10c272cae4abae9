//! When two URIs are the same (RFC 3261 §19.1.4, RFC 3966 §5).

use super::{Scheme, Uri};

/// Parameters that count although only one of two URIs has them. RFC 3261 §19.1.4 names user, ttl, method
/// and maddr, and says the same of transport in its examples.
const ALWAYS_COUNT: [&[u8]; 5] = [b"transport", b"user", b"ttl", b"method", b"maddr"];

/// Parameters and headers that are compared one by one, which takes the square of their number: URIs with more
/// are equal if their octets are.
const MOST_COMPARED: usize = 64;

impl Uri {
    /// Whether both mean the same (RFC 3261 §19.1.4). Not transitive: a parameter that only one has mostly
    /// does not count. A default that is written never equals one that is not (port 5060, transport=udp).
    ///
    /// ```
    /// let uri = |text: &str| text.parse::<sip::Uri>().unwrap();
    /// assert!(uri("sip:%61lice@atlanta.com;transport=TCP").equivalent(&uri("sip:alice@AtLanTa.CoM;Transport=tcp")));
    /// assert!(!uri("sip:bob@biloxi.com").equivalent(&uri("sip:bob@biloxi.com:5060")));
    /// ```
    pub fn equivalent(&self, other: &Uri) -> bool {
        if self.scheme() != other.scheme() {
            return false;
        }
        if !self.is_comparable() || !other.is_comparable() {
            return self == other;
        }
        match self.scheme() {
            Scheme::Sip | Scheme::Sips => self.same_sip(other),
            Scheme::Tel => self.same_tel(other),
            Scheme::Other => {
                let opaque = |uri: &Uri| uri.text.get(uri.parts.scheme_len as usize..).map(<[u8]>::to_vec);
                self.scheme_octets().eq_ignore_ascii_case(other.scheme_octets())
                    && opaque(self) == opaque(other)
            }
        }
    }

    fn is_comparable(&self) -> bool {
        let headers = self.headers().unwrap_or_default();
        self.params().count() <= MOST_COMPARED && headers.split(|&b| b == b'&').count() <= MOST_COMPARED
    }

    fn same_sip(&self, other: &Uri) -> bool {
        self.port() == other.port()
            && both(self.user(), other.user(), same_text)
            && both(self.password(), other.password(), same_text)
            && self.host() == other.host()
            && self.params_agree(other)
            && ALWAYS_COUNT.iter().all(|name| self.param(name).is_some() == other.param(name).is_some())
            && headers_agree(self.headers().unwrap_or_default(), other.headers().unwrap_or_default())
    }

    /// A name that is repeated against the grammar counts as it stands first.
    fn params_agree(&self, other: &Uri) -> bool {
        self.params().all(|param| match (self.param(param.name), other.param(param.name)) {
            (Some(mine), Some(theirs)) => same_text_any_case(mine, theirs),
            _ => true,
        })
    }

    fn same_tel(&self, other: &Uri) -> bool {
        let number = |uri: &Uri| digits(uri.user().unwrap_or_default());
        number(self) == number(other)
            && self.params().count() == other.params().count()
            && self.params_agree(other)
            && self.params().all(|param| other.param(param.name).is_some())
    }
}

/// A telephone number without visual separators, letters in lower case (RFC 3966 §5).
pub(super) fn digits(number: &[u8]) -> Vec<u8> {
    let counts = |b: &&u8| !matches!(b, b'-' | b'.' | b'(' | b')');
    number.iter().filter(counts).map(u8::to_ascii_lowercase).collect()
}

/// All headers of one are in the other, in any order.
fn headers_agree(one: &[u8], other: &[u8]) -> bool {
    let pairs = |text| grammar::split_outside_quotes(text, b'&', false).filter(|pair| !pair.is_empty());
    let within = |a, b| pairs(a).all(|x: &[u8]| pairs(b).any(|y: &[u8]| same_text_any_case(x, y)));
    pairs(one).count() == pairs(other).count() && within(one, other) && within(other, one)
}

fn both(a: Option<&[u8]>, b: Option<&[u8]>, same: impl Fn(&[u8], &[u8]) -> bool) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => same(a, b),
        (None, None) => true,
        _ => false,
    }
}

/// Equal octets, an escape of what is not reserved being the octet itself.
fn same_text(a: &[u8], b: &[u8]) -> bool {
    units(a).eq(units(b))
}

pub(super) fn same_text_any_case(a: &[u8], b: &[u8]) -> bool {
    let lower = |(octet, escaped): (u8, bool)| (octet.to_ascii_lowercase(), escaped);
    units(a).map(lower).eq(units(b).map(lower))
}

/// The octets of `text`; the flag tells an escaped reserved octet, which is not the same as the octet.
fn units(text: &[u8]) -> impl Iterator<Item = (u8, bool)> + '_ {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (&first, tail) = rest.split_first()?;
        let decoded = match (first, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        match decoded {
            Some(octet) => {
                rest = tail.get(2..).unwrap_or_default();
                Some((octet, is_reserved(octet)))
            }
            None => {
                rest = tail;
                Some((first, false))
            }
        }
    })
}

const fn is_reserved(b: u8) -> bool {
    matches!(b, b';' | b'/' | b'?' | b':' | b'@' | b'&' | b'=' | b'+' | b'$' | b',')
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
