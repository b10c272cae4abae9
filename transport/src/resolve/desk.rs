//! Where every question passes: each is asked once at a time, so many at once and no more, and what failed or
//! is not there is not asked again for a while (RFC 9520 §3.2). What was found is kept by the resolver, for as
//! long as its records say.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout, timeout_at};

use super::{Family, LookupError, Naptr, Resolve, Srv};
use crate::Metrics;

/// Questions at once for names that strangers wrote: in a Request-URI, or as a contact.
const STRANGERS: usize = 48;

/// Questions at once for names in the config. They have their own, so that strangers' names with servers that
/// never answer hold up none of them; 64 with the others.
const OPERATOR: usize = 16;

/// Questions known: those that wait or are being asked, and the failures remembered.
pub(crate) const KNOWN: usize = 1024;

/// How long what failed or is not there is not asked for again.
pub(crate) const REMEMBER: Duration = Duration::from_secs(5);

/// Whose name is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// A name of the config.
    Operator,
    /// A name from a message.
    Stranger,
}

/// The desk itself.
#[derive(Debug)]
pub(crate) struct Desk {
    resolver: Arc<dyn Resolve>,
    metrics: Arc<Metrics>,
    /// What one question may take once it is asked, and before that as long again to wait for its turn.
    limit: Duration,
    strangers: Arc<Semaphore>,
    operator: Arc<Semaphore>,
    known: Mutex<HashMap<Question, Known>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Question {
    Naptr(String),
    Srv(String),
    Addresses(String, Family),
}

#[derive(Clone, Debug)]
enum Records {
    Naptr(Vec<Naptr>),
    Srv(Vec<Srv>),
    Addresses(Vec<IpAddr>),
}

type Outcome = Result<Arc<Records>, LookupError>;

#[derive(Debug)]
struct Known {
    outcome: watch::Receiver<Option<Outcome>>,
    /// Until when it stays, once it has its outcome.
    until: Option<Instant>,
}

impl Desk {
    pub(crate) fn new(resolver: Arc<dyn Resolve>, metrics: Arc<Metrics>, limit: Duration) -> Self {
        Self {
            resolver,
            metrics,
            limit,
            strangers: Arc::new(Semaphore::new(STRANGERS)),
            operator: Arc::new(Semaphore::new(OPERATOR)),
            known: Mutex::default(),
        }
    }

    pub(crate) async fn naptr(
        self: &Arc<Self>,
        domain: &str,
        asker: Asker,
        deadline: Instant,
    ) -> Result<Vec<Naptr>, LookupError> {
        match &*self.ask(Question::Naptr(domain.to_owned()), asker, deadline).await? {
            Records::Naptr(records) => Ok(records.clone()),
            _ => Err(LookupError::Failed),
        }
    }

    pub(crate) async fn srv(
        self: &Arc<Self>,
        service: &str,
        asker: Asker,
        deadline: Instant,
    ) -> Result<Vec<Srv>, LookupError> {
        match &*self.ask(Question::Srv(service.to_owned()), asker, deadline).await? {
            Records::Srv(records) => Ok(records.clone()),
            _ => Err(LookupError::Failed),
        }
    }

    pub(crate) async fn addresses(
        self: &Arc<Self>,
        host: &str,
        family: Family,
        asker: Asker,
        deadline: Instant,
    ) -> Result<Vec<IpAddr>, LookupError> {
        match &*self.ask(Question::Addresses(host.to_owned(), family), asker, deadline).await? {
            Records::Addresses(records) => Ok(records.clone()),
            _ => Err(LookupError::Failed),
        }
    }

    async fn ask(self: &Arc<Self>, question: Question, asker: Asker, deadline: Instant) -> Outcome {
        let mut outcome = self.outcome(question, asker)?;
        let answered = timeout_at(deadline, outcome.wait_for(Option::is_some)).await;
        let answered = answered.map_err(|_elapsed| LookupError::TimedOut)?;
        let answered = answered.map_err(|_broke_off| LookupError::Failed)?;
        answered.clone().unwrap_or(Err(LookupError::Failed))
    }

    /// Where the outcome of a question will be: of the one that is asked already, of the one that failed a
    /// moment ago, or of a new one.
    fn outcome(
        self: &Arc<Self>,
        question: Question,
        asker: Asker,
    ) -> Result<watch::Receiver<Option<Outcome>>, LookupError> {
        let now = Instant::now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(one) = known.get(&question).filter(|one| one.until.is_none_or(|until| now < until)) {
            return Ok(one.outcome.clone());
        }
        if known.len() >= KNOWN {
            known.retain(|_, one| one.until.is_none());
        }
        if known.len() >= KNOWN {
            self.metrics.lookups_refused.add_one();
            return Err(LookupError::Busy);
        }
        let (tell, outcome) = watch::channel(None);
        known.insert(question.clone(), Known { outcome: outcome.clone(), until: None });
        drop(known);
        // A task of its own: others may wait for it too, and what comes late is of use to the next one.
        tokio::spawn(Arc::clone(self).find(question, asker, tell));
        Ok(outcome)
    }

    async fn find(self: Arc<Self>, question: Question, asker: Asker, tell: watch::Sender<Option<Outcome>>) {
        // Whatever breaks in the resolver must not leave the question asked for ever.
        let _forget = Forget { desk: &self, question: &question, tell: &tell };
        let turns = match asker {
            Asker::Operator => &self.operator,
            Asker::Stranger => &self.strangers,
        };
        let Ok(Ok(_turn)) = timeout(self.limit, turns.acquire()).await else {
            self.metrics.lookups_refused.add_one();
            tell.send_replace(Some(Err(LookupError::Busy)));
            return;
        };
        let start = Instant::now();
        let found = timeout(self.limit, self.look_up(&question)).await;
        let found = found.unwrap_or(Err(LookupError::TimedOut));
        self.metrics.looked_up(start.elapsed(), found.is_err());
        tell.send_replace(Some(found.map(Arc::new)));
    }

    async fn look_up(&self, question: &Question) -> Result<Records, LookupError> {
        match question {
            Question::Naptr(domain) => self.resolver.naptr(domain).await.map(Records::Naptr),
            Question::Srv(service) => self.resolver.srv(service).await.map(Records::Srv),
            Question::Addresses(host, family) => {
                self.resolver.addresses(host, *family).await.map(Records::Addresses)
            }
        }
    }

    /// The question has its outcome: failures and nothing stay for a while.
    fn settle(&self, question: &Question, stays: bool) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !stays {
            known.remove(question);
        } else if let Some(one) = known.get_mut(question) {
            one.until = Some(Instant::now() + REMEMBER);
        }
    }
}

/// Settles a question when its task ends, however it ends.
struct Forget<'a> {
    desk: &'a Desk,
    question: &'a Question,
    tell: &'a watch::Sender<Option<Outcome>>,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        let stays = match &*self.tell.borrow() {
            Some(Ok(records)) => records.is_empty(),
            Some(Err(LookupError::TimedOut | LookupError::Failed)) => true,
            Some(Err(LookupError::Busy)) | None => false,
        };
        self.desk.settle(self.question, stays);
    }
}

impl Records {
    const fn is_empty(&self) -> bool {
        match self {
            Self::Naptr(records) => records.is_empty(),
            Self::Srv(records) => records.is_empty(),
            Self::Addresses(records) => records.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::resolve::Lookup;

    #[derive(Debug, Default)]
    struct Counting {
        asked: AtomicUsize,
        at_once: AtomicUsize,
        most: AtomicUsize,
    }

    impl Resolve for Counting {
        /// Takes a second; names of `lost` servers get no answer, those of `nothing` an empty one.
        fn addresses<'a>(&'a self, host: &'a str, _: Family) -> Lookup<'a, IpAddr> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let now = self.at_once.fetch_add(1, Ordering::Relaxed) + 1;
            self.most.fetch_max(now, Ordering::Relaxed);
            Box::pin(async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if host.starts_with("lost") {
                    std::future::pending::<()>().await;
                }
                self.at_once.fetch_sub(1, Ordering::Relaxed);
                match host {
                    "nothing" => Ok(Vec::new()),
                    "broken" => Err(LookupError::Failed),
                    _ => Ok(vec![[192, 0, 2, 1].into()]),
                }
            })
        }
    }

    fn desk() -> (Arc<Desk>, Arc<Counting>) {
        let counting = Arc::new(Counting::default());
        let limit = Duration::from_secs(2);
        (Arc::new(Desk::new(Arc::clone(&counting) as _, Arc::new(Metrics::register()), limit)), counting)
    }

    async fn ask(desk: &Arc<Desk>, host: &str, asker: Asker) -> Result<Vec<IpAddr>, LookupError> {
        desk.addresses(host, Family::V4, asker, Instant::now() + Duration::from_secs(60)).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_is_asked_for_once_at_a_time() {
        let (desk, counting) = desk();
        let all = (0..100).map(|_| ask(&desk, "a", Asker::Stranger));
        let found = futures_util::future::join_all(all).await;
        assert!(found.iter().all(|one| one.as_ref().is_ok_and(|found| found.len() == 1)));
        assert_eq!(counting.asked.load(Ordering::Relaxed), 1);
        ask(&desk, "a", Asker::Stranger).await.unwrap();
        assert_eq!(counting.asked.load(Ordering::Relaxed), 2, "what was found is the resolver's to keep");
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_are_asked_at_once_and_no_more() {
        let (desk, counting) = desk();
        let names: Vec<String> = (0..90).map(|n| format!("host{n}")).collect();
        let found =
            futures_util::future::join_all(names.iter().map(|name| ask(&desk, name, Asker::Stranger))).await;
        assert!(found.iter().all(Result::is_ok));
        assert_eq!(counting.most.load(Ordering::Relaxed), STRANGERS);
    }

    #[tokio::test(start_paused = true)]
    async fn names_whose_servers_are_lost_do_not_hold_up_those_of_the_config() {
        let (desk, _) = desk();
        for n in 0..500 {
            let (desk, name) = (Arc::clone(&desk), format!("lost{n}"));
            tokio::spawn(async move { ask(&desk, &name, Asker::Stranger).await });
        }
        tokio::task::yield_now().await;
        let start = Instant::now();
        assert!(ask(&desk, "route", Asker::Operator).await.is_ok());
        assert_eq!(start.elapsed().as_secs(), 1);
        assert_eq!(ask(&desk, "late", Asker::Stranger).await, Err(LookupError::Busy));
        assert_eq!(start.elapsed().as_secs(), 3, "it waits as long as a question may take");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_and_nothing_are_remembered_for_a_while() {
        let (desk, counting) = desk();
        for (name, outcome) in [
            ("lost", Err(LookupError::TimedOut)),
            ("broken", Err(LookupError::Failed)),
            ("nothing", Ok(vec![])),
        ] {
            let before = counting.asked.load(Ordering::Relaxed);
            let start = Instant::now();
            assert_eq!(ask(&desk, name, Asker::Stranger).await, outcome);
            let took = start.elapsed();
            assert_eq!(ask(&desk, name, Asker::Stranger).await, outcome);
            assert_eq!(start.elapsed(), took, "the second one is told at once");
            assert_eq!(counting.asked.load(Ordering::Relaxed), before + 1);
            tokio::time::advance(REMEMBER).await;
            assert_eq!(ask(&desk, name, Asker::Stranger).await, outcome);
            assert_eq!(counting.asked.load(Ordering::Relaxed), before + 2);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_known_is_bounded() {
        let (desk, _) = desk();
        for n in 0..KNOWN {
            desk.outcome(Question::Naptr(format!("d{n}")), Asker::Stranger).unwrap();
        }
        assert_eq!(ask(&desk, "one more", Asker::Stranger).await, Err(LookupError::Busy));
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert!(ask(&desk, "one more", Asker::Stranger).await.is_ok(), "failures make room");
        assert!(desk.known.lock().unwrap().len() <= KNOWN);
    }

    #[tokio::test(start_paused = true)]
    async fn an_asker_waits_until_its_deadline_and_the_answer_still_comes() {
        let (desk, counting) = desk();
        let soon = Instant::now() + Duration::from_millis(100);
        let gave_up = desk.addresses("a", Family::V4, Asker::Stranger, soon).await;
        assert_eq!(gave_up, Err(LookupError::TimedOut));
        assert!(ask(&desk, "a", Asker::Stranger).await.is_ok());
        assert_eq!(counting.asked.load(Ordering::Relaxed), 1);
    }
}
