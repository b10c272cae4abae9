//! The extension table: names beyond `length`, `media-pix-x`, `media-pix-y` that the configuration lets
//! carry constraints (`cpi-ext` in CPI.md §1.1), e.g. `audio-rate`.

/// Names of CPI extensions, compared without case. Names not in it are ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions(Vec<String>);

impl Extensions {
    /// No extension.
    pub const NONE: Self = Self(Vec::new());

    /// The name as the table writes it, in lower case, if `name` is in it.
    pub fn name(&self, name: &[u8]) -> Option<&str> {
        self.0.iter().find(|known| name.eq_ignore_ascii_case(known.as_bytes())).map(String::as_str)
    }
}

impl<S: AsRef<str>> FromIterator<S> for Extensions {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        Self(names.into_iter().map(|name| name.as_ref().to_ascii_lowercase()).collect())
    }
}
