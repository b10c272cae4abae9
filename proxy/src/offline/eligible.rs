//! Which messages are worth keeping for a user who is not there (RFC 3428 §8, CPI.md 6.6).

use std::time::{Duration, SystemTime};

use sip::{HeaderId, Method, Request};

/// How much of a wrapped message is read to see what it wraps.
const WRAPPING: usize = 4096;

/// Says when a message is good no longer, at most `ttl` from now, which is `wall` to its sender; `None` if it is not to be kept: another
/// method, one that says of itself that it is of use now or not at all (`Expires: 0`), one that only tells
/// that somebody is typing (RFC 3994) or that a message arrived (RFC 5438). The last two are made by
/// programs, for every message one: kept, they would answer each other long after anyone cares.
pub(crate) fn until(
    request: &Request,
    now: SystemTime,
    wall: SystemTime,
    ttl: Duration,
) -> Option<SystemTime> {
    if request.method() != Method::Message || is_made_by_a_program(request) {
        return None;
    }
    let longest = now.checked_add(ttl)?;
    let Some(expires) = request.header(HeaderId::Expires).and_then(grammar::decimal) else {
        return Some(longest);
    };
    // RFC 3428 §4: relative to Date; without one, to when it came.
    let sent = date(request).unwrap_or(wall);
    let end = sent.checked_add(Duration::from_secs(expires));
    let left = end.map_or(ttl, |end| end.duration_since(wall).unwrap_or_default());
    let until = now.checked_add(left).map_or(longest, |until| until.min(longest));
    (until > now).then_some(until)
}

/// The Date of a request, if it can be read.
fn date(request: &Request) -> Option<SystemTime> {
    let date = std::str::from_utf8(request.header(HeaderId::Date)?).ok()?;
    httpdate::parse_http_date(date).ok()
}

fn is_made_by_a_program(request: &Request) -> bool {
    let kind = request.header(HeaderId::ContentType).unwrap_or_default();
    if is_type(kind, b"message/cpim") {
        let body = request.body();
        let start = body.get(..WRAPPING).unwrap_or(&body);
        return wrapped_type(start).is_some_and(is_automatic);
    }
    is_automatic(kind)
}

fn is_automatic(kind: &[u8]) -> bool {
    is_type(kind, b"application/im-iscomposing+xml") || is_type(kind, b"message/imdn+xml")
}

fn is_type(value: &[u8], wanted: &[u8]) -> bool {
    let bare = value.split(|&b| b == b';').next().map(grammar::trim);
    bare.is_some_and(|bare| bare.eq_ignore_ascii_case(wanted))
}

/// The Content-Type of what a message/cpim wraps: it stands in the second block of headers (RFC 3862 §2).
fn wrapped_type(body: &[u8]) -> Option<&[u8]> {
    let mut lines = body.split(|&b| b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.by_ref().find(|line| line.is_empty())?;
    let block = lines.take_while(|line| !line.is_empty());
    let mut fields = block.filter_map(|line| grammar::split_once(line, |b| b == b':'));
    let (_, value) = fields.find(|(name, _)| grammar::trim(name).eq_ignore_ascii_case(b"content-type"))?;
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::request;

    const DAY: Duration = Duration::from_secs(86_400);
    /// Sun, 09 Sep 2001 01:46:40 GMT.
    const NOW: Duration = Duration::from_secs(1_000_000_000);

    fn kept_for(fields: &str, body: &str) -> Option<u64> {
        let request = request(&format!("MESSAGE sip:a@b SIP/2.0\r\n{fields}"), body.as_bytes());
        let now = SystemTime::UNIX_EPOCH + NOW;
        until(&request, now, now, DAY).map(|until| until.duration_since(now).unwrap().as_secs())
    }

    #[test]
    fn a_message_is_kept_until_it_expires_and_no_longer_than_the_operator_says() {
        assert_eq!(kept_for("", "x"), Some(86_400));
        assert_eq!(kept_for("Expires: 60\r\n", "x"), Some(60));
        assert_eq!(kept_for("Expires: 999999999\r\n", "x"), Some(86_400));
        assert_eq!(kept_for("Expires: 60\r\nDate: Sun, 09 Sep 2001 01:46:10 GMT\r\n", "x"), Some(30));
        assert_eq!(kept_for("Expires: 99\r\nDate: Mon, 10 Sep 2091 01:46:10 GMT\r\n", "x"), Some(86_400));
    }

    #[test]
    fn a_wall_clock_that_was_set_changes_when_its_sender_sent_it_and_not_how_long_it_is_kept() {
        let (now, hour) = (SystemTime::UNIX_EPOCH + NOW, Duration::from_secs(3600));
        let left = |fields: &str| {
            let request = request(&format!("MESSAGE sip:a@b SIP/2.0\r\n{fields}"), b"x");
            until(&request, now, now + hour, DAY).map(|until| until.duration_since(now).unwrap().as_secs())
        };
        assert_eq!(left("Expires: 60\r\n"), Some(60));
        assert_eq!(left("Expires: 60\r\nDate: Sun, 09 Sep 2001 02:46:30 GMT\r\n"), Some(50));
        assert_eq!(left("Expires: 60\r\nDate: Sun, 09 Sep 2001 01:46:40 GMT\r\n"), None);
    }

    #[test]
    fn what_is_of_use_now_or_never_is_not_kept() {
        assert_eq!(kept_for("Expires: 0\r\n", "x"), None);
        assert_eq!(kept_for("Expires: 10\r\nDate: Sun, 09 Sep 2001 01:46:10 GMT\r\n", "x"), None);
        let other = request("INVITE sip:a@b SIP/2.0\r\n", b"x");
        let now = SystemTime::UNIX_EPOCH + NOW;
        assert_eq!(until(&other, now, now, DAY), None);
    }

    #[test]
    fn what_programs_tell_each_other_is_not_kept_wrapped_or_not() {
        assert_eq!(kept_for("Content-Type: application/im-isComposing+xml;charset=utf-8\r\n", "x"), None);
        assert_eq!(kept_for("c: message/imdn+xml\r\n", "x"), None);
        let cpim = |kind: &str| {
            format!(
                "From: <im:a@b>\r\nTo: <im:c@d>\r\n\r\nContent-Length: 1\r\nContent-type: {kind}\r\n\r\nx"
            )
        };
        assert_eq!(kept_for("Content-Type: message/cpim\r\n", &cpim("message/imdn+xml")), None);
        assert_eq!(kept_for("Content-Type: message/cpim\r\n", &cpim("text/plain")), Some(86_400));
        assert_eq!(kept_for("Content-Type: message/cpim\r\n", "no headers"), Some(86_400));
    }
}
