//! The response context: which of the branches' answers goes back (RFC 3261 §16.7, RFC 4320).
//!
//! Pure: answers come in as any value with a status, the verdict comes out. One context lives as long as
//! the server transaction whose branches it watches.

/// A final answer of a branch, received or made here.
pub(crate) trait Final {
    /// Its status code, 200..=699.
    fn status(&self) -> u16;
}

/// How a branch ended.
#[derive(Debug)]
pub(crate) enum Ending<F> {
    /// With a final answer.
    Answered(F),
    /// Nothing came in time: Timer B, F or C (RFC 3261 §16.8).
    TimedOut,
    /// It could not be sent: counts as this answer, a 503 (RFC 3261 §16.9).
    Failed(F),
}

impl<F: Final> Ending<F> {
    /// Whether another contact of the same terminal may be tried: it was not reached (RFC 5626 §5.3 has it
    /// for 430 and 408; a flow that turns out to be gone when it is written to is as good as a 430).
    pub(crate) fn gives_way(&self) -> bool {
        match self {
            Ending::Answered(answer) => matches!(answer.status(), 408 | 430),
            Ending::TimedOut | Ending::Failed(_) => true,
        }
    }
}

/// What to do with a branch's ending.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<F> {
    /// Send it upstream now: a 2xx.
    Forward(F),
    /// Keep it; no new branch may start and running INVITE branches are cancelled (a 6xx came).
    Stop,
    /// Keep it and go on.
    Go,
    /// It comes too late to matter.
    Drop,
}

/// What goes upstream when all branches have ended without a 2xx.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Best<F> {
    /// This answer; `others` are the challenges of the other 401 and 407, in the order they came.
    Answer {
        /// The best answer (§16.7 step 6).
        best: F,
        /// Answers whose challenges go along (§16.7 step 7).
        others: Vec<F>,
    },
    /// Only 503 came: 500, since a 503 would say that this server is out of order (§16.7 step 6).
    Internal,
    /// Only flows that are gone: 480. A 430 is between proxies and registrar, and nothing that an end point
    /// knows (RFC 5626 §11.5).
    Unavailable,
    /// An INVITE nobody answered: 408.
    Timeout,
    /// A non-INVITE nobody answered in time: silence (RFC 4320 §4.2).
    Nothing,
}

/// The answers of one request's branches so far.
#[derive(Debug)]
pub(crate) struct Context<F> {
    invite: bool,
    kept: Vec<F>,
    forwarded: bool,
    stopped: bool,
}

impl<F: Final> Context<F> {
    /// A context for an INVITE, or for any other method.
    pub(crate) const fn new(invite: bool) -> Self {
        Context { invite, kept: Vec::new(), forwarded: false, stopped: false }
    }

    /// Whether a provisional answer goes upstream: not 100, none for non-INVITE (RFC 4320 §4.1 forbids
    /// them), none after a final.
    pub(crate) const fn forwards_provisional(&self, status: u16) -> bool {
        self.invite && !self.forwarded && status > 100
    }

    /// A branch has ended.
    pub(crate) fn settle(&mut self, ending: Ending<F>) -> Step<F> {
        let answer = match ending {
            Ending::Answered(answer) | Ending::Failed(answer) => answer,
            Ending::TimedOut => return Step::Go,
        };
        match answer.status() {
            200..300 if !self.forwarded || self.invite => {
                self.forwarded = true;
                self.stopped = true;
                Step::Forward(answer)
            }
            _ if self.forwarded => Step::Drop,
            // No answer to pass on (RFC 4320 §4.2), and none to hide another branch's behind.
            408 if !self.invite => Step::Go,
            600.. => {
                self.kept.push(answer);
                self.stopped = true;
                Step::Stop
            }
            _ => {
                self.kept.push(answer);
                Step::Go
            }
        }
    }

    /// Whether nobody was reached so far who could have taken the request.
    pub(crate) fn unreached(&self) -> bool {
        !self.stopped && self.kept.iter().all(|answer| matches!(answer.status(), 408 | 430 | 480 | 503 | 504))
    }

    /// Whether no further branch may be started: a 2xx or a 6xx has come.
    pub(crate) const fn stopped(&self) -> bool {
        self.stopped
    }

    /// The best answer, when every branch has ended; `None` when a 2xx has gone upstream already.
    pub(crate) fn best(self) -> Option<Best<F>> {
        if self.forwarded {
            return None;
        }
        let Some(at) = (0..self.kept.len()).min_by_key(|&at| self.kept.get(at).map(|f| rank(f.status())))
        else {
            return Some(if self.invite { Best::Timeout } else { Best::Nothing });
        };
        let mut kept = self.kept;
        let best = kept.remove(at);
        Some(match best.status() {
            503 => Best::Internal,
            430 => Best::Unavailable,
            401 | 407 => {
                kept.retain(|other| matches!(other.status(), 401 | 407));
                Best::Answer { best, others: kept }
            }
            _ => Best::Answer { best, others: Vec::new() },
        })
    }
}

/// Lower is better: 6xx, then the lowest class; within 4xx those that tell the caller how to try again,
/// and 408, 430 and 487 after all that say more; within 5xx anything before 503.
const fn rank(status: u16) -> (u16, u16) {
    let within = match status {
        401 | 407 | 415 | 420 | 484 => 0,
        408 | 430 | 487 => 2,
        503 => 3,
        _ => 1,
    };
    (if status >= 600 { 0 } else { status / 100 }, within)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq, Clone, Copy)]
    struct Status(u16);
    impl Final for Status {
        fn status(&self) -> u16 {
            self.0
        }
    }

    fn best(invite: bool, statuses: &[u16]) -> Option<Best<Status>> {
        let mut context = Context::new(invite);
        for &status in statuses {
            context.settle(if status == 0 { Ending::TimedOut } else { Ending::Answered(Status(status)) });
        }
        context.best()
    }

    fn chosen(statuses: &[u16]) -> u16 {
        match best(false, statuses) {
            Some(Best::Answer { best, .. }) => best.0,
            Some(Best::Internal) => 500,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn best_is_a_6xx_then_the_lowest_class_then_what_helps_the_caller() {
        assert_eq!(chosen(&[404, 603, 302]), 603);
        assert_eq!(chosen(&[500, 404, 302]), 302);
        assert_eq!(chosen(&[404, 480, 415]), 415);
        assert_eq!(chosen(&[486, 404]), 486, "equal ones: the first that came");
        assert_eq!(chosen(&[503, 501]), 501);
        assert_eq!(chosen(&[408, 480]), 480);
        assert_eq!(chosen(&[0, 480]), 480);
        assert_eq!(chosen(&[408, 503]), 500, "a 408 that can't be passed on hides nothing");
    }

    #[test]
    fn a_lone_503_becomes_500() {
        assert_eq!(chosen(&[503]), 500);
        assert_eq!(chosen(&[503, 503]), 500);
    }

    #[test]
    fn a_2xx_is_forwarded_at_once_and_only_the_first_to_a_non_invite() {
        let mut context = Context::new(false);
        assert_eq!(context.settle(Ending::Answered(Status(404))), Step::Go);
        assert_eq!(context.settle(Ending::Answered(Status(200))), Step::Forward(Status(200)));
        assert!(context.stopped());
        assert_eq!(context.settle(Ending::Answered(Status(202))), Step::Drop);
        assert_eq!(context.settle(Ending::Answered(Status(603))), Step::Drop);
        assert_eq!(context.best(), None);
    }

    #[test]
    fn a_430_never_reaches_the_sender() {
        assert_eq!(best(false, &[430, 430]), Some(Best::Unavailable));
        assert_eq!(chosen(&[430, 404]), 404);
    }

    #[test]
    fn only_a_contact_that_was_not_reached_gives_way_to_another_of_its_terminal() {
        assert!(Ending::<Status>::TimedOut.gives_way() && Ending::Failed(Status(503)).gives_way());
        for status in [408, 430] {
            assert!(Ending::Answered(Status(status)).gives_way());
        }
        for status in [200, 302, 404, 480, 486, 500, 503, 603] {
            assert!(!Ending::Answered(Status(status)).gives_way(), "{status}");
        }
    }

    #[test]
    fn every_2xx_to_an_invite_is_forwarded() {
        let mut context = Context::new(true);
        assert_eq!(context.settle(Ending::Answered(Status(200))), Step::Forward(Status(200)));
        assert_eq!(context.settle(Ending::Answered(Status(200))), Step::Forward(Status(200)));
    }

    #[test]
    fn a_6xx_stops_new_branches_but_a_later_2xx_still_wins() {
        let mut context = Context::new(true);
        assert_eq!(context.settle(Ending::Answered(Status(603))), Step::Stop);
        assert!(context.stopped());
        assert_eq!(context.settle(Ending::Answered(Status(200))), Step::Forward(Status(200)));
    }

    #[test]
    fn silence_is_408_for_an_invite_and_nothing_for_the_rest() {
        assert_eq!(best(true, &[0, 0]), Some(Best::Timeout));
        assert_eq!(best(false, &[0, 0]), Some(Best::Nothing));
        assert_eq!(best(false, &[408]), Some(Best::Nothing), "RFC 4320: no 408 to a non-INVITE");
    }

    #[test]
    fn challenges_of_all_branches_go_along() {
        let Some(Best::Answer { best, others }) = best(false, &[404, 407, 401, 407]) else { panic!() };
        assert_eq!((best, others), (Status(407), vec![Status(401), Status(407)]));
    }

    #[test]
    fn provisionals_go_up_for_invites_only_and_never_100() {
        let mut context: Context<Status> = Context::new(true);
        assert!(context.forwards_provisional(180) && !context.forwards_provisional(100));
        context.settle(Ending::Answered(Status(200)));
        assert!(!context.forwards_provisional(180));
        assert!(!Context::<Status>::new(false).forwards_provisional(180));
    }
}
