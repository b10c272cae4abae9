//! Answers that were given before, found by the very words of a request: for the second fetch of a terminal nothing is
//! read, hashed or written anew.
//!
//! They hold no octets: an answer is ready as long as the cache keeps what it sends, and is for the link it was
//! given for.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, Weak};

use axum::http::header::HeaderName;
use axum::http::{HeaderMap, header};

use super::answer::About;
use crate::record::Record;
use crate::variant::Made;

/// Answers that are known; one more, and all are found out anew. Two kilobytes each.
const MOST: usize = 4096;

/// Octets of the longest request whose answer is kept.
const WORDS: usize = 2048;

/// What an answer depends on beside conditions and ranges, which are looked at each time. More fields than these
/// may say nothing of it: see [`super::wish::stated`], [`super::page::is_wanted`].
const FIELDS: [HeaderName; 5] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCEPT_CHARSET,
    header::ACCEPT_LANGUAGE,
    header::USER_AGENT,
];

/// All that is ready.
#[derive(Debug, Default)]
pub(super) struct Ready {
    answers: RwLock<HashMap<Box<[u8]>, Answer>>,
}

#[derive(Clone, Debug)]
struct Answer {
    record: Weak<Record>,
    made: Weak<Made>,
    about: Arc<About>,
}

/// The words of a request.
pub(super) struct Words(Vec<u8>);

impl Words {
    /// `None`: too many, or it comes from a browser, which may want a page.
    pub(super) fn of(token: &str, query: Option<&str>, head: &HeaderMap) -> Option<Words> {
        if head.contains_key("sec-fetch-dest") {
            return None;
        }
        let mut words = Vec::with_capacity(256);
        words.extend_from_slice(token.as_bytes());
        if let Some(text) = query {
            words.push(b'?');
            words.extend_from_slice(text.as_bytes());
        }
        for (number, name) in FIELDS.iter().enumerate() {
            for value in head.get_all(name) {
                // No value has a line end in it.
                words.extend_from_slice(&[b'\n', u8::try_from(number).unwrap_or_default()]);
                words.extend_from_slice(value.as_bytes());
            }
        }
        (words.len() <= WORDS).then_some(Words(words))
    }
}

impl Ready {
    /// The answer to the same words, if it is one for this link and what it sends is at hand.
    pub(super) fn find(&self, words: &Words, record: &Arc<Record>) -> Option<(Arc<About>, Arc<Made>)> {
        let answers = self.answers.read().unwrap_or_else(PoisonError::into_inner);
        let answer = answers.get(&*words.0)?;
        let same = std::ptr::eq(answer.record.as_ptr(), Arc::as_ptr(record));
        let made = answer.made.upgrade().filter(|_| same)?;
        Some((Arc::clone(&answer.about), made))
    }

    pub(super) fn keep(&self, words: Words, record: &Arc<Record>, made: &Arc<Made>, about: &Arc<About>) {
        let answer =
            Answer { record: Arc::downgrade(record), made: Arc::downgrade(made), about: Arc::clone(about) };
        let mut answers = self.answers.write().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= MOST {
            answers.clear();
        }
        answers.insert(words.0.into_boxed_slice(), answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &[(HeaderName, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn words_differ_where_an_answer_may() {
        let of =
            |token, query, lines: &[(HeaderName, &str)]| Words::of(token, query, &head(lines)).unwrap().0;
        let all = [
            of("t", None, &[]),
            of("u", None, &[]),
            of("t", Some(""), &[]),
            of("t", Some("raw"), &[]),
            of("t", None, &[(header::ACCEPT, "a/b")]),
            of("t", None, &[(header::ACCEPT_ENCODING, "a/b")]),
            of("t", None, &[(header::ACCEPT, "a/b"), (header::USER_AGENT, "a/b")]),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(all.iter().skip(at + 1).all(|other| one != other));
        }
        let conditional = [(header::RANGE, "bytes=0-1"), (header::IF_NONE_MATCH, "x"), (header::COOKIE, "y")];
        assert_eq!(of("t", None, &conditional), all[0]);
        let long = "a".repeat(WORDS);
        assert!(Words::of("t", None, &head(&[(header::ACCEPT, &long)])).is_none());
        let browser = head(&[(HeaderName::from_static("sec-fetch-dest"), "document")]);
        assert!(Words::of("t", None, &browser).is_none());
    }
}
