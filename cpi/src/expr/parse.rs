//! The text of an expression into filters. Recursion is bounded by [`MAX_DEPTH`].

use super::test::Test;
use super::{Filter, MAX_DEPTH, MAX_FILTERS, MAX_OCTETS, Node, TooComplex};
use crate::diag::{Diag, Diags};
use crate::model::Q_MAX;
use crate::{Extensions, value};

/// All filters of `text`; several beside each other are all meant (rule X3).
pub(super) fn filters<'e>(
    text: &[u8],
    extensions: &'e Extensions,
    diags: &mut Diags,
) -> Result<Filter<'e>, TooComplex> {
    if text.len() > MAX_OCTETS {
        return Err(TooComplex);
    }
    let mut parser = Parser { rest: text, read: 0, extensions, diags };
    let mut found: Vec<Filter<'e>> = Vec::new();
    while let Some(next) = parser.peek() {
        match next {
            b'(' => found.push(parser.filter(1)?),
            b')' => {
                parser.advance();
                parser.diags.push(Diag::ExtraCloseParen);
            }
            b';' => {
                let q = parser.params();
                if let Some(last) = found.last_mut() {
                    last.q = q.unwrap_or(last.q);
                }
            }
            _ => parser.junk(),
        }
    }
    match found.len() {
        1 => {}
        0 => diags.push(Diag::BadFilter(Diag::quoted(text))),
        _ => diags.push(Diag::ImpliedAnd),
    }
    Ok(Filter { node: Node::And(found), q: Q_MAX })
}

struct Parser<'t, 'e, 'd> {
    rest: &'t [u8],
    read: usize,
    extensions: &'e Extensions,
    diags: &'d mut Diags,
}

impl<'t, 'e> Parser<'t, 'e, '_> {
    /// A filter, from its `(` to its parameters.
    fn filter(&mut self, depth: usize) -> Result<Filter<'e>, TooComplex> {
        self.count(1)?;
        if depth > MAX_DEPTH {
            return Err(TooComplex);
        }
        self.advance();
        let node = match self.peek() {
            Some(b'&') => {
                self.advance();
                Node::And(self.list(depth)?)
            }
            Some(b'|') => {
                self.advance();
                Node::Or(self.list(depth)?)
            }
            Some(b'!') => {
                self.advance();
                Node::Not(Box::new(Filter { node: Node::And(self.list(depth)?), q: Q_MAX }))
            }
            Some(b'(') => {
                self.diags.push(Diag::ImpliedAnd);
                Node::And(self.list(depth)?)
            }
            _ => self.item(depth)?,
        };
        let q = self.params().unwrap_or(Q_MAX);
        Ok(Filter { node, q })
    }

    /// Filters up to the closing parenthesis, which is taken too.
    fn list(&mut self, depth: usize) -> Result<Vec<Filter<'e>>, TooComplex> {
        let mut found = Vec::new();
        loop {
            match self.peek() {
                Some(b'(') => found.push(self.filter(depth + 1)?),
                Some(b')') => {
                    self.advance();
                    return Ok(found);
                }
                Some(_) => self.junk(),
                None => {
                    self.diags.push(Diag::MissingCloseParen);
                    return Ok(found);
                }
            }
        }
    }

    /// A test and the closing parenthesis. A `(` where none may be: its neighbours are still read.
    fn item(&mut self, depth: usize) -> Result<Node<'e>, TooComplex> {
        let text = self.take_until(|b| matches!(b, b'(' | b')'));
        let test = Test::read(grammar::trim(text), self.extensions, self.diags);
        // A set of n values stands for n filters.
        self.count(test.size().saturating_sub(1))?;
        match self.peek() {
            Some(b'(') => {
                self.diags.push(Diag::BadFilter(Diag::quoted(text)));
                let mut all = vec![Filter { node: Node::Test(test), q: Q_MAX }];
                all.append(&mut self.list(depth)?);
                return Ok(Node::And(all));
            }
            Some(_) => self.advance(),
            None => self.diags.push(Diag::MissingCloseParen),
        }
        Ok(Node::Test(test))
    }

    fn count(&mut self, filters: usize) -> Result<(), TooComplex> {
        self.read = self.read.saturating_add(filters);
        if self.read > MAX_FILTERS { Err(TooComplex) } else { Ok(()) }
    }

    /// The parameters behind a filter; the q among them.
    fn params(&mut self) -> Option<u16> {
        let mut q = None;
        while self.peek() == Some(b';') {
            self.advance();
            let text = self.take_until(|b| matches!(b, b'(' | b')' | b';'));
            let quality = grammar::params(text).find_name(b"q").and_then(|param| param.value);
            if let Some(value) = quality {
                let found = value::quality(grammar::trim(&value.text()), self.diags);
                q.get_or_insert(found);
            }
        }
        q
    }

    /// Text where none may be.
    fn junk(&mut self) {
        let text = self.take_until(|b| matches!(b, b'(' | b')'));
        self.diags.push(Diag::BadFilter(Diag::quoted(text)));
    }

    /// The octets up to one for which `end` holds outside a quoted string.
    fn take_until(&mut self, end: impl Fn(u8) -> bool) -> &'t [u8] {
        let (mut quoted, mut escaped) = (false, false);
        let at = self.rest.iter().position(|&b| {
            match b {
                _ if escaped => escaped = false,
                b'\\' => escaped = quoted,
                b'"' => quoted = !quoted,
                _ => return !quoted && end(b),
            }
            false
        });
        let (text, rest) =
            self.rest.split_at_checked(at.unwrap_or(self.rest.len())).unwrap_or((self.rest, b""));
        self.rest = rest;
        text
    }

    /// The next octet that is no white space.
    fn peek(&mut self) -> Option<u8> {
        let start = self.rest.iter().position(|&b| !grammar::is_lws(b)).unwrap_or(self.rest.len());
        self.rest = self.rest.get(start..).unwrap_or_default();
        self.rest.first().copied()
    }

    fn advance(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }
}
