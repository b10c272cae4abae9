//! Route, Record-Route and Path: lists in which the order of lines and of elements in a line is one order.

use smallvec::SmallVec;

use super::Outgoing;
use crate::header::HeaderId;
use crate::span::Span;

impl Outgoing {
    /// Takes the first Route value away; the rest of its line stays. Says whether there was one.
    pub fn pop_route(&mut self) -> bool {
        self.pop_value(HeaderId::Route)
    }

    /// Takes the last Route value away (strict routing, RFC 3261 §16.4) and gives it.
    pub fn pop_last_route(&mut self) -> Option<Vec<u8>> {
        let at = self.order.iter().rposition(|&line| self.id(line) == HeaderId::Route)?;
        let value = self.order.get(at).map(|&line| self.view(line).value)?;
        let last = grammar::split_commas(value).last().map(<[u8]>::to_vec);
        let elements: Vec<&[u8]> = grammar::split_commas(value).collect();
        match elements.split_last() {
            Some((_, rest)) if !rest.is_empty() => {
                let rest = rest.join(&b", "[..]);
                self.replace(at, &rest);
            }
            _ => drop(self.order.remove(at)),
        }
        last
    }

    /// Puts a Route value in front of the others.
    pub fn push_route_front(&mut self, value: impl AsRef<[u8]>) {
        self.push_value(HeaderId::Route, value.as_ref());
    }

    /// Puts a Record-Route value in front of the others (RFC 3261 §16.6 step 4).
    pub fn push_record_route(&mut self, value: impl AsRef<[u8]>) {
        self.push_value(HeaderId::RecordRoute, value.as_ref());
    }

    /// Puts a Path value in front of the others (RFC 3327 §5.2).
    pub fn push_path(&mut self, value: impl AsRef<[u8]>) {
        self.push_value(HeaderId::Path, value.as_ref());
    }

    fn push_value(&mut self, id: HeaderId, value: &[u8]) {
        let at = self.position(id).unwrap_or_else(|| self.after_vias());
        self.insert(at, id.into(), value);
    }

    /// Takes the first element of the first line `id` away, and lines without any element before it.
    pub(super) fn pop_value(&mut self, id: HeaderId) -> bool {
        while let Some(at) = self.position(id) {
            let value = self.order.get(at).map(|&line| self.view(line).value).unwrap_or_default();
            let first_two: SmallVec<[Span; 2]> =
                grammar::split_commas(value).take(2).map(|element| Span::of(value, element)).collect();
            // What follows the first element stays octet for octet.
            match first_two.get(1).map(|second| value.get(second.start()..).unwrap_or_default().to_vec()) {
                Some(rest) => self.replace(at, &rest),
                None => drop(self.order.remove(at)),
            }
            if !first_two.is_empty() {
                return true;
            }
        }
        false
    }
}
