//! What becomes of a kept message after an attempt to deliver it.

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The terminal answered.
    Answered(u16),
    /// This server refused on the terminal's behalf: nothing it could show can be made now.
    Refused(u16),
    /// Nobody answered.
    Silence,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It has arrived: it goes.
    Delivered,
    /// The recipient does not want it, or can't have it whatever is made of it: it goes.
    Rejected,
    /// Not this one now, but the next one may do.
    Later,
    /// The terminal is not there, or not able: no use in trying the next one now.
    Unreached,
}

/// Judges the end of an attempt.
///
/// A 413, 415 or 513 comes from the terminal itself after everything was tried, a link too (rule L8), and is
/// final; one of our own says that the terminals there are now can't show it, and another one may come.
pub(crate) const fn of(outcome: Outcome) -> Verdict {
    match outcome {
        Outcome::Answered(200..=299) => Verdict::Delivered,
        Outcome::Answered(403 | 405 | 413 | 415 | 513 | 600..) => Verdict::Rejected,
        // 401 and 407 are between the sender and the terminal, and the sender is not there.
        Outcome::Answered(408 | 430 | 480 | 486 | 500..=599) | Outcome::Silence => Verdict::Unreached,
        Outcome::Refused(403 | 413 | 415 | 416 | 513) | Outcome::Answered(_) => Verdict::Later,
        Outcome::Refused(_) => Verdict::Unreached,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_the_terminal_decides_what_becomes_of_the_message() {
        for (status, expected) in [
            (200, Verdict::Delivered),
            (202, Verdict::Delivered),
            (403, Verdict::Rejected),
            (405, Verdict::Rejected),
            (413, Verdict::Rejected),
            (415, Verdict::Rejected),
            (600, Verdict::Rejected),
            (603, Verdict::Rejected),
            (404, Verdict::Later),
            (407, Verdict::Later),
            (488, Verdict::Later),
            (302, Verdict::Later),
            (408, Verdict::Unreached),
            (430, Verdict::Unreached),
            (480, Verdict::Unreached),
            (486, Verdict::Unreached),
            (503, Verdict::Unreached),
        ] {
            assert_eq!(of(Outcome::Answered(status)), expected, "{status}");
        }
    }

    #[test]
    fn what_no_terminal_of_now_can_show_waits_for_another() {
        assert_eq!(of(Outcome::Refused(415)), Verdict::Later);
        assert_eq!(of(Outcome::Refused(503)), Verdict::Unreached);
        assert_eq!(of(Outcome::Silence), Verdict::Unreached);
    }
}
