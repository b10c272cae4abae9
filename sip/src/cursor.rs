//! Reading a value from its front.

/// What is left to read.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    pub(crate) rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(rest: &'a [u8]) -> Self {
        Cursor { rest }
    }

    /// Takes octets as long as `which` holds.
    #[inline]
    pub(crate) fn take_while(&mut self, which: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|&b| !which(b)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, &[]));
        self.rest = rest;
        taken
    }

    /// Takes a token; `None` if there is none.
    pub(crate) fn token(&mut self) -> Option<&'a [u8]> {
        let token = self.take_while(grammar::is_token_byte);
        (!token.is_empty()).then_some(token)
    }

    /// Skips linear white space and says whether there was any.
    pub(crate) fn lws(&mut self) -> bool {
        !self.take_while(grammar::is_lws).is_empty()
    }

    /// Takes `octet` if it is next.
    #[inline]
    pub(crate) fn eat(&mut self, octet: u8) -> bool {
        match self.rest.split_first() {
            Some((&first, rest)) if first == octet => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Takes `octet` with linear white space on both sides (`SLASH`, `COLON`, .. of RFC 3261 §25.1).
    #[inline]
    pub(crate) fn separator(&mut self, octet: u8) -> bool {
        if let [first, second, ..] = *self.rest
            && first == octet
            && !grammar::is_lws(second)
        {
            return self.eat(octet);
        }
        let before = *self;
        self.lws();
        let found = self.eat(octet);
        if found {
            self.lws();
        } else {
            *self = before;
        }
        found
    }
}
