//! What a Request-URI orders (RFC 4240 §3, draft-cook-lemonade-streaming §2.3): what is played, how often, how long.
//!
//! The URL in `play=` is escaped once. The draft's own examples do not escape it at all, so that its `;uid=`,
//! `;section=`, `;expire=` and `;urlauth=` look like parameters of the SIP URI: they are put together again, and such a
//! URL is not unescaped, since nobody escaped it. Parameters that are not known say nothing (RFC 4240 §3).

use std::time::Duration;

use sip::Uri;

/// Parameters of an IMAP URL (RFC 5092 §11, RFC 4467), which may be what a URL that was not escaped goes on with.
const IMAP: [&str; 7] = ["uidvalidity", "uid", "section", "partial", "expire", "urlauth", "type"];

/// What is to be played, and how.
#[derive(Clone, PartialEq, Eq)]
pub struct Order {
    /// The URL, or `/provisioned/` and a name.
    pub play: String,
    /// The media type it is said to have.
    pub content_type: Option<String>,
    /// The Content-Transfer-Encoding it is said to have.
    pub encoding: Option<String>,
    /// Between repetitions.
    pub delay: Duration,
    /// After which the announcement ends, whatever is left of it.
    pub duration: Option<Duration>,
    /// How often it is played.
    pub repeat: Repeat,
    /// Language and country, as in `en_CA`.
    pub locale: Option<String>,
    /// `param1` to `param9`. What they mean to a sequence is beyond RFC 4240; nothing here reads them.
    pub params: [Option<String>; 9],
}

/// The URL may hold a token: where it leads is said by [`Order::play`] to those who must know.
impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = self.play.split([':', '/']).next().unwrap_or_default();
        f.debug_struct("Order").field("scheme", &scheme).field("repeat", &self.repeat).finish_non_exhaustive()
    }
}

/// How often an announcement is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// So often, at least once.
    Times(u32),
    /// Until somebody ends it.
    Forever,
}

/// Why a Request-URI orders nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// No `play`.
    #[error("no play parameter")]
    NoPlay,
    /// A parameter can't be read.
    #[error("the parameter {0} can't be read")]
    Parameter(&'static str),
}

impl Order {
    /// Reads what a Request-URI orders.
    ///
    /// # Errors
    /// [`OrderError`].
    pub fn read(uri: &Uri) -> Result<Order, OrderError> {
        let mut order = Order {
            play: String::new(),
            content_type: None,
            encoding: None,
            delay: Duration::ZERO,
            duration: None,
            repeat: Repeat::Times(1),
            locale: None,
            params: Default::default(),
        };
        let pieces: Vec<&[u8]> =
            uri.params_octets().split(|&octet| octet == b';').filter(|piece| !piece.is_empty()).collect();
        let mut at = 0;
        while let Some(piece) = pieces.get(at) {
            at += 1;
            let (name, value) = split(piece);
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            // The first of several counts.
            if name == "play" && order.play.is_empty() {
                let rest = pieces.get(at..).unwrap_or_default();
                let tail = rest.iter().take_while(|piece| is_of_imap(value, piece)).count();
                order.play = url(value, rest.get(..tail).unwrap_or_default())?;
                at += tail;
            } else {
                order.take(&name, value)?;
            }
        }
        if order.play.is_empty() { Err(OrderError::NoPlay) } else { Ok(order) }
    }

    fn take(&mut self, name: &str, value: &[u8]) -> Result<(), OrderError> {
        match name {
            "content-type" => self.content_type = Some(unescaped(value, "content-type")?),
            "content-transfer-encoding" => {
                self.encoding = Some(unescaped(value, "content-transfer-encoding")?);
            }
            "delay" => self.delay = Duration::from_millis(number(value, "delay")?),
            "duration" => self.duration = Some(Duration::from_millis(number(value, "duration")?)),
            "repeat" if value.eq_ignore_ascii_case(b"forever") => self.repeat = Repeat::Forever,
            "repeat" => {
                let times = u32::try_from(number(value, "repeat")?).unwrap_or(u32::MAX);
                self.repeat = Repeat::Times(times.max(1));
            }
            "locale" => self.locale = Some(unescaped(value, "locale")?),
            _ => {
                let digit = name.strip_prefix("param").and_then(|digit| digit.parse::<usize>().ok());
                let place = digit.and_then(|digit| self.params.get_mut(digit.wrapping_sub(1)));
                if let Some(place) = place {
                    *place = Some(unescaped(value, "param")?);
                }
            }
        }
        Ok(())
    }
}

fn split(piece: &[u8]) -> (&[u8], &[u8]) {
    match piece.iter().position(|&octet| octet == b'=') {
        Some(at) => (piece.get(..at).unwrap_or_default(), piece.get(at + 1..).unwrap_or_default()),
        None => (piece, b""),
    }
}

/// Whether a parameter belongs to the IMAP URL before it, which was not escaped.
fn is_of_imap(url: &[u8], piece: &[u8]) -> bool {
    let name = split(piece).0;
    let is_imap = url.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"imap://"));
    is_imap && IMAP.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// The URL: unescaped if it was escaped, put together again if it was not.
fn url(value: &[u8], tail: &[&[u8]]) -> Result<String, OrderError> {
    if tail.is_empty() {
        return unescaped(value, "play");
    }
    let mut whole = value.to_vec();
    for piece in tail {
        whole.push(b';');
        whole.extend_from_slice(piece);
    }
    String::from_utf8(whole).map_err(|_| OrderError::Parameter("play"))
}

fn number(value: &[u8], name: &'static str) -> Result<u64, OrderError> {
    let digits = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    digits.and_then(|digits| digits.parse().ok()).ok_or(OrderError::Parameter(name))
}

/// One level of `%hex` taken off. Controls are in no value of ours.
fn unescaped(value: &[u8], name: &'static str) -> Result<String, OrderError> {
    let wrong = || OrderError::Parameter(name);
    let mut octets = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            octets.push(first);
            continue;
        }
        let hex = |at: usize| after.get(at).and_then(|&octet| char::from(octet).to_digit(16));
        let (Some(high), Some(low)) = (hex(0), hex(1)) else { return Err(wrong()) };
        octets.push(u8::try_from(high * 16 + low).unwrap_or_default());
        rest = after.get(2..).unwrap_or_default();
    }
    let text = String::from_utf8(octets).map_err(|_| wrong())?;
    if text.chars().any(char::is_control) { Err(wrong()) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "imap://joe@example.com/INBOX/;uid=24356/;section=1.2;expire=2006-12-19T16:39:57-08:00;\
                       urlauth=anonymous:internal:238234982398239898a9898998798b987s87920";

    fn read(params: &str) -> Result<Order, OrderError> {
        Order::read(&format!("sip:annc@ms2.example.net{params}").parse().unwrap())
    }

    #[test]
    fn the_url_of_the_draft_that_nobody_escaped_is_put_together_again() {
        let order =
            read(&format!(";play={URL};content-type=video/mpeg;content-transfer-encoding=base64")).unwrap();
        assert_eq!(order.play, URL);
        assert_eq!(order.content_type.as_deref(), Some("video/mpeg"));
        assert_eq!(order.encoding.as_deref(), Some("base64"));
    }

    #[test]
    fn such_a_url_keeps_its_own_escapes() {
        let url = URL.replace("INBOX", "a%2Fb;UIDVALIDITY=7");
        assert_eq!(read(&format!(";play={url};repeat=2")).unwrap().play, url);
    }

    #[test]
    fn the_url_of_rfc_5616_is_unescaped_exactly_once() {
        let escaped = "imap:%2F%2Fjoe@example.com%2FINBOX%2F%3Buid%3D24356%2F%3Bsection%3D1.2%3Bexpire%3D\
                       2006-12-19T16:39:57-08:00%3Burlauth%3Danonymous:internal:238234982398239898a9898998798b987s87920";
        assert_eq!(read(&format!(";play={escaped}")).unwrap().play, URL);
        assert_eq!(read(";play=imap:%2F%2Fh%2Fa%2520b").unwrap().play, "imap://h/a%20b");
        assert_eq!(read(&format!(";play={escaped};uid=7")).unwrap().play, URL, "no part of an escaped one");
    }

    #[test]
    fn the_examples_of_rfc_4240_are_read() {
        let order = read(";play=http://audio.example.net/allcircuitsbusy.g711").unwrap();
        assert_eq!(
            (order.play.as_str(), order.repeat),
            ("http://audio.example.net/allcircuitsbusy.g711", Repeat::Times(1))
        );
        let order = read(
            ";play=file://fs.example.net//clips/my-intro.dvi;content-type=video/mpeg%3bencode%3d314M-25/625-50",
        );
        assert_eq!(order.unwrap().content_type.as_deref(), Some("video/mpeg;encode=314M-25/625-50"));
        assert_eq!(read(";play=/provisioned/4711").unwrap().play, "/provisioned/4711");
    }

    #[test]
    fn times_counts_and_values_are_read() {
        let order =
            read(";delay=1000;play=a;duration=60000;REPEAT=Forever;locale=en_CA;param1=x%20y;param9=z");
        let order = order.unwrap();
        assert_eq!(order.delay, Duration::from_secs(1));
        assert_eq!(order.duration, Some(Duration::from_secs(60)));
        assert_eq!((order.repeat, order.locale.as_deref()), (Repeat::Forever, Some("en_CA")));
        assert_eq!((order.params[0].as_deref(), order.params[8].as_deref()), (Some("x y"), Some("z")));
        assert_eq!(read(";play=a;repeat=0").unwrap().repeat, Repeat::Times(1));
        assert_eq!(read(";play=a;repeat=99999999999").unwrap().repeat, Repeat::Times(u32::MAX));
    }

    #[test]
    fn what_is_not_known_says_nothing() {
        let order = read(";lr;play=a;param0=q;param10=q;x=%zz;transport=tcp;play=b").unwrap();
        assert_eq!((order.play.as_str(), order.params), ("a", Default::default()));
    }

    #[test]
    fn without_play_or_with_values_that_are_none_it_orders_nothing() {
        assert_eq!(read(""), Err(OrderError::NoPlay));
        assert_eq!(read(";play="), Err(OrderError::NoPlay));
        assert_eq!(read(";play"), Err(OrderError::NoPlay));
        for (params, name) in [
            (";play=a;delay=x", "delay"),
            (";play=a;duration=-1", "duration"),
            (";play=a;repeat=always", "repeat"),
            (";play=%zz", "play"),
            (";play=a%0d%0ab", "play"),
            (";play=%ff", "play"),
            (";play=a;duration=99999999999999999999", "duration"),
        ] {
            assert_eq!(read(params), Err(OrderError::Parameter(name)), "{params}");
        }
    }

    #[test]
    fn the_token_is_not_shown() {
        assert!(!format!("{:?}", read(&format!(";play={URL}")).unwrap()).contains("2382"));
    }
}
