//! Why a subscription ends (RFC 6665 §4.1.3), and what Subscription-State says.

/// The reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It ended here, and the subscriber should come back at once.
    Deactivated,
    /// And he should come back later.
    Probation,
    /// The presentity does not want him.
    Rejected,
    /// Its time is over, or its subscriber ended it.
    Timeout,
    /// Nobody decided whether he may.
    Giveup,
    /// What is watched is no longer there.
    Noresource,
    /// Its state can't change any more.
    Invariant,
}

impl Reason {
    /// The word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deactivated => "deactivated",
            Self::Probation => "probation",
            Self::Rejected => "rejected",
            Self::Timeout => "timeout",
            Self::Giveup => "giveup",
            Self::Noresource => "noresource",
            Self::Invariant => "invariant",
        }
    }
}

/// An end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Why.
    pub reason: Reason,
    /// Seconds after which the subscriber may come back.
    pub retry_after: Option<u32>,
}

impl Ending {
    /// For that reason.
    pub const fn of(reason: Reason) -> Self {
        Self { reason, retry_after: None }
    }
}
