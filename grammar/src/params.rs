//! Parameters: `;name`, `;name=token`, `;name="quoted"`, with white space and folds round `;` and `=`.

use std::borrow::Cow;

use crate::list::{Split, split_outside_quotes};

/// The parameters of `text`, which begins at or after the first `;` (a leading `;` is optional). Empty
/// parameters (`;;`) are skipped. Order and repetition are kept: the caller knows what they mean.
///
/// ```
/// let all: Vec<_> = grammar::params(br#"; q=0.8 ;x = "a;b";lr"#).collect();
/// assert_eq!(all.len(), 3);
/// assert!(all[0].is(b"Q"));
/// assert_eq!(&*all[1].value.unwrap().text(), b"a;b");
/// assert!(all[2].value.is_none());
/// ```
pub const fn params(text: &[u8]) -> Params<'_> {
    Params { pieces: split_outside_quotes(text, b';', false) }
}

/// Iterator of [`params`].
#[derive(Clone, Debug)]
pub struct Params<'a> {
    pieces: Split<'a>,
}

impl<'a> Iterator for Params<'a> {
    type Item = Param<'a>;

    fn next(&mut self) -> Option<Param<'a>> {
        self.pieces.by_ref().find(|piece| !piece.is_empty()).map(Param::read)
    }
}

impl<'a> Params<'a> {
    /// The first parameter of that name, compared without case.
    pub fn find_name(mut self, name: &[u8]) -> Option<Param<'a>> {
        self.find(|param| param.is(name))
    }
}

/// One parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'a> {
    /// The name as written. Compare with [`Param::is`].
    pub name: &'a [u8],
    /// What follows `=`; `None` without one.
    pub value: Option<Value<'a>>,
    /// The whole parameter as written, without the `;` and outer white space.
    pub raw: &'a [u8],
}

impl<'a> Param<'a> {
    fn read(raw: &'a [u8]) -> Self {
        let (name, value) = match crate::split_once(raw, |b| b == b'=') {
            Some((name, value)) => (crate::trim(name), Some(Value::read(crate::trim(value)))),
            None => (raw, None),
        };
        Param { name, value, raw }
    }

    /// Whether this is the parameter `name`; names have no case.
    pub fn is(&self, name: &[u8]) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// A parameter's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Octets as written, normally a token or a host.
    Plain(&'a [u8]),
    /// What stands between the double quotes, escapes still in place.
    Quoted(&'a [u8]),
}

impl<'a> Value<'a> {
    /// Reads a trimmed value: quoted if it begins with a double quote (a missing closing quote is
    /// forgiven, octets after the closing one are ignored), plain otherwise.
    pub fn read(text: &'a [u8]) -> Self {
        match text.split_first() {
            Some((b'"', inner)) => Value::Quoted(inner.get(..closing_quote(inner)).unwrap_or(inner)),
            _ => Value::Plain(text),
        }
    }

    /// The value with quotes and backslash escapes taken away.
    pub fn text(&self) -> Cow<'a, [u8]> {
        match *self {
            Value::Plain(text) => text.into(),
            Value::Quoted(inner) if memchr::memchr(b'\\', inner).is_none() => inner.into(),
            Value::Quoted(inner) => unescape(inner).into(),
        }
    }

    /// The value between its quotes if it has any, escapes still in place.
    pub const fn raw(&self) -> &'a [u8] {
        match *self {
            Value::Plain(text) | Value::Quoted(text) => text,
        }
    }
}

fn closing_quote(inner: &[u8]) -> usize {
    let mut at = 0;
    while let Some(rest) = inner.get(at..)
        && let Some(found) = memchr::memchr2(b'"', b'\\', rest)
    {
        if rest.get(found) == Some(&b'"') {
            return at + found;
        }
        // What follows is escaped.
        at += found + 2;
    }
    inner.len()
}

fn unescape(inner: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(inner.len());
    let mut octets = inner.iter();
    while let Some(&b) = octets.next() {
        out.push(if b == b'\\' { octets.next().copied().unwrap_or(b) } else { b });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_and_folds_may_stand_round_the_separators() {
        let all: Vec<_> = params(b" ;a = 1\r\n ;\tb\r\n =\"2\"").collect();
        assert_eq!(all.len(), 2);
        assert_eq!(all.iter().map(|p| p.value.unwrap().raw()).collect::<Vec<_>>(), [b"1", b"2"]);
    }

    #[test]
    fn escapes_are_taken_away_once() {
        assert_eq!(&*Value::read(br#""a\"b\\""#).text(), br#"a"b\"#);
    }

    #[test]
    fn a_missing_closing_quote_is_forgiven() {
        assert_eq!(Value::read(b"\"abc").raw(), b"abc");
        assert_eq!(Value::read(b"\"abc\" junk").raw(), b"abc");
    }

    #[test]
    fn repeated_parameters_stay_in_order() {
        let values: Vec<_> =
            params(b"q=0.5;x;q=1").filter(|p| p.is(b"q")).map(|p| p.value.unwrap().raw()).collect();
        assert_eq!(values, [&b"0.5"[..], b"1"]);
    }
}
