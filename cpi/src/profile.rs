//! Device profiles: the CPI of terminals that say nothing but their name (rule G7).
//!
//! The configuration holds pairs of a glob and a CPI; loading them is the program's business.

use std::sync::Arc;

use crate::model::{Cpi, Source};

/// How many octets of a glob are used.
pub const GLOB_OCTETS: usize = 256;

/// Device profiles in the order of the configuration; the first that matches counts.
#[derive(Clone, Debug, Default)]
pub struct Profiles(Vec<(String, Arc<Cpi>)>);

impl Profiles {
    /// The profile for a User-Agent text.
    pub fn find(&self, user_agent: &str) -> Option<&Arc<Cpi>> {
        self.0.iter().find(|(glob, _)| glob_matches(glob, user_agent)).map(|(_, cpi)| cpi)
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(String, Cpi)> for Profiles {
    fn from_iter<I: IntoIterator<Item = (String, Cpi)>>(profiles: I) -> Self {
        let profile = |(mut glob, cpi): (String, Cpi)| {
            glob.truncate(glob.floor_char_boundary(GLOB_OCTETS));
            (glob, Arc::new(cpi.with_source(Source::Profile)))
        };
        Self(profiles.into_iter().map(profile).collect())
    }
}

/// Whether all of `text` matches `glob`, where `*` stands for any octets and `?` for one; ASCII letters have
/// no case. Takes at most the product of both lengths in steps.
///
/// ```
/// assert!(cpi::profile::glob_matches("Nokia7650/*", "nokia7650/1.0(05.00)"));
/// assert!(!cpi::profile::glob_matches("Nokia7650/*", "xNokia7650/1.0"));
/// ```
pub fn glob_matches(glob: &str, text: &str) -> bool {
    let (mut glob, mut text) = (glob.as_bytes(), text.as_bytes());
    // What is tried again, one octet on, when the part behind the last star fails.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (glob.split_first(), text.split_first()) {
            (Some((b'*', rest)), _) => {
                retry = Some((rest, text));
                glob = rest;
            }
            (None, None) => return true,
            (Some((sign, glob_rest)), Some((octet, text_rest)))
                if *sign == b'?' || sign.eq_ignore_ascii_case(octet) =>
            {
                (glob, text) = (glob_rest, text_rest);
            }
            _ => {
                let Some((behind_star, [_, shorter @ ..])) = retry else { return false };
                retry = Some((behind_star, shorter));
                (glob, text) = (behind_star, shorter);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_the_whole_text() {
        for (glob, text, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
            ("a*b*c", "axxbyybzc", true),
            ("a*b*c", "axxbyyb", false),
            ("?okia*", "Nokia", true),
            ("*(05.00)", "Nokia7650/1.0(05.00)", true),
            ("**a", "bba", true),
            ("a?", "a", false),
        ] {
            assert_eq!(glob_matches(glob, text), expected, "{glob} on {text}");
        }
    }

    #[test]
    fn the_first_profile_that_matches_counts() {
        let small = Cpi { max_size: Some(1), ..Cpi::default() };
        let large = Cpi { max_size: Some(2), ..Cpi::default() };
        let profiles: Profiles =
            [("Nokia7650*".to_owned(), small), ("Nokia*".to_owned(), large)].into_iter().collect();
        assert_eq!(profiles.find("Nokia7650/1.0").unwrap().max_size, Some(1));
        assert_eq!(profiles.find("Nokia6600").unwrap().max_size, Some(2));
        assert_eq!(profiles.find("Nokia6600").unwrap().source, Source::Profile);
        assert!(profiles.find("Siemens").is_none());
    }
}
