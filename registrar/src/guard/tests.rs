//! Credentials against the guard, as a sender would make them.

use super::*;
use crate::digest::work;

const REALM: &str = "example.com";
const START: u64 = 1_900_000_000;

struct House {
    guard: Guard,
    random: std::cell::Cell<u64>,
    auth: Auth,
    _dir: tempfile::TempDir,
}

/// A sender who knows a name, a password and what the last challenge said.
#[derive(Clone)]
struct Sender {
    user: &'static str,
    password: &'static str,
    source: &'static str,
    algorithm: Algorithm,
    qop: &'static str,
    nc: u32,
    nonce: String,
    uri: &'static str,
}

fn john() -> Sender {
    Sender {
        user: "john",
        password: "secret",
        source: "192.0.2.7",
        algorithm: Algorithm::Sha256,
        qop: "auth",
        nc: 1,
        nonce: String::new(),
        uri: "sip:example.com",
    }
}

impl Sender {
    fn credentials(&self, body: &[u8]) -> String {
        let Sender { user, nonce, uri, qop, nc, .. } = self;
        let proof = if qop.is_empty() {
            String::new()
        } else {
            format!(", qop={qop}, nc={nc:08x}, cnonce=\"0a4f113b\"")
        };
        let line = |response: &str| {
            format!(
                "Digest username=\"{user}\", realm=\"{REALM}\", nonce=\"{nonce}\", uri=\"{uri}\", \
                 response=\"{response}\", algorithm={}{proof}",
                self.algorithm.name()
            )
        };
        let unsigned = line("");
        let parsed = Credentials::parse(unsigned.as_bytes()).unwrap().unwrap();
        let ha1 = digest::ha1(self.algorithm, user.as_bytes(), REALM, self.password.as_bytes());
        line(digest::response(self.algorithm, &ha1, &parsed, b"REGISTER", body).as_str())
    }
}

impl House {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Auth)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), store::Options::default()).unwrap();
        let guard = Guard::open(&store, Key::new([7; 32]), at(0));
        let name = UserName::parse("john@example.com").unwrap();
        guard.users().set(&name, b"secret", &Algorithm::ALL, at(0)).await.unwrap();
        let mut auth = Auth::default();
        change(&mut auth);
        Self { guard, random: 0.into(), auth, _dir: dir }
    }

    fn judge(&self, value: Option<&str>, source: &str, seconds: u64) -> Verdict {
        let asked = Asked {
            method: b"REGISTER",
            body: b"",
            credentials: value.iter().map(|value| value.as_bytes()).collect(),
            realm: REALM,
            claimed: None,
            source: source.parse().unwrap(),
        };
        let accepts = |uri: &Uri| uri.host().is_some_and(|host| host.is(REALM));
        self.guard.judge(&self.auth, &asked, &accepts, at(seconds), self.random.get())
    }

    fn nonce(&self, source: &str, seconds: u64) -> String {
        self.random.set(self.random.get() + 1);
        nonce_of(&self.judge(None, source, seconds))
    }

    /// Asks for a challenge and answers it.
    fn log_in(&self, sender: &Sender, seconds: u64) -> Verdict {
        self.random.set(self.random.get() + 1);
        let asked = self.judge(None, sender.source, seconds);
        let Verdict::Challenge { .. } = asked else { return asked };
        let sender = Sender { nonce: nonce_of(&asked), ..sender.clone() };
        self.judge(Some(&sender.credentials(b"")), sender.source, seconds)
    }
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(START + seconds)
}

fn nonce_of(verdict: &Verdict) -> String {
    let Verdict::Challenge { fields, .. } = verdict else { panic!("{verdict:?}") };
    fields[0].split("nonce=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_challenge_offers_each_algorithm_in_order_and_the_right_password_opens() {
    let house = House::with(|auth| auth.algorithms = Algorithm::ALL.to_vec()).await;
    let Verdict::Challenge { fields, cause } = house.judge(None, "192.0.2.7", 1) else { panic!() };
    assert_eq!((fields.len(), cause), (2, Cause::Missing));
    assert!(fields[0].starts_with("Digest realm=\"example.com\", qop=\"auth,auth-int\", algorithm=SHA-256"));
    assert!(fields[1].contains("algorithm=MD5") && !fields[1].contains("stale"));
    for (algorithm, qop) in
        [(Algorithm::Sha256, "auth"), (Algorithm::Md5, "auth"), (Algorithm::Sha256, "auth-int")]
    {
        let sender = Sender { algorithm, qop, ..john() };
        let name = UserName::parse("john@example.com").unwrap();
        assert_eq!(house.log_in(&sender, 2), Verdict::Proven(name));
    }
}

#[tokio::test]
async fn md5_opens_only_where_it_is_enabled() {
    let house = House::new().await;
    let sender = Sender { algorithm: Algorithm::Md5, ..john() };
    assert_eq!(house.log_in(&sender, 2).word(), "asked");
}

#[tokio::test]
async fn a_count_used_before_is_stale_and_the_next_one_good() {
    let house = House::new().await;
    let sender = Sender { nonce: house.nonce("192.0.2.7", 1), ..john() };
    let ask = |nc| house.judge(Some(&Sender { nc, ..sender.clone() }.credentials(b"")), sender.source, 2);
    assert_eq!([ask(1).word(), ask(1).word(), ask(2).word()], ["proven", "stale", "proven"]);
    let Verdict::Challenge { fields, .. } = ask(2) else { panic!() };
    assert!(fields[0].ends_with(", stale=true"), "{fields:?}");
}

#[tokio::test]
async fn old_forged_and_earlier_nonces_are_stale_without_a_hash_computed() {
    let house = House::new().await;
    let old = Sender { nonce: house.nonce("192.0.2.7", 1), ..john() }.credentials(b"");
    let forged = Sender { nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093".into(), ..john() }.credentials(b"");
    let earlier = house.guard.key.nonce(REALM, Minted { at: START * 1000 - 1, random: 1 });
    let earlier = Sender { nonce: earlier, ..john() }.credentials(b"");
    for (credentials, seconds) in [(old, 302), (forged, 2), (earlier, 2)] {
        let (verdict, hashes) = work::of(|| house.judge(Some(&credentials), "192.0.2.7", seconds));
        assert_eq!((verdict.word(), hashes), ("stale", 0));
    }
}

#[tokio::test]
async fn a_wrong_user_and_a_wrong_password_cost_and_answer_the_same() {
    let house = House::with(|auth| auth.algorithms = Algorithm::ALL.to_vec()).await;
    for algorithm in Algorithm::ALL {
        let nonce = house.nonce("192.0.2.7", 1);
        let wrong = |user, password| {
            let sender = Sender { user, password, algorithm, nonce: nonce.clone(), ..john() };
            let credentials = sender.credentials(b"");
            work::of(|| house.judge(Some(&credentials), "192.0.2.7", 2))
        };
        let (password, hashes) = wrong("john", "guess");
        let (user, same) = wrong("jane", "guess");
        assert_eq!((&password, hashes), (&user, same));
        assert_eq!(password.word(), "wrong");
        let (right, hashes) = wrong("john", "secret");
        assert_eq!((right.word(), hashes), ("proven", same));
    }
}

#[tokio::test]
async fn legacy_responses_are_taken_once_a_nonce_and_only_if_configured() {
    let sender = Sender { qop: "", ..john() };
    assert_eq!(House::new().await.log_in(&sender, 2).word(), "asked");
    let house = House::with(|auth| auth.legacy = true).await;
    let sender = Sender { nonce: house.nonce("192.0.2.7", 1), ..sender };
    let ask = || house.judge(Some(&sender.credentials(b"")), sender.source, 2).word();
    assert_eq!([ask(), ask()], ["proven", "stale"]);
}

#[tokio::test]
async fn credentials_for_another_resource_or_broken_ones_are_told() {
    let house = House::new().await;
    assert_eq!(house.log_in(&Sender { uri: "sip:bob@example.org", ..john() }, 2), Verdict::OtherUri);
    let broken = "Digest username=\"john\", realm=\"example.com\", nonce=\"x\"";
    assert_eq!(house.judge(Some(broken), "192.0.2.7", 2), Verdict::Malformed(Malformed::Missing));
    let elsewhere = broken.replace("example.com", "example.org");
    assert_eq!(house.judge(Some(&elsewhere), "192.0.2.7", 2).word(), "asked");
}

#[tokio::test]
async fn too_many_failures_shut_a_source_out_without_a_hash_until_the_ban_ends() {
    let house = House::with(|auth| auth.max_failures = 3).await;
    let users = ["a", "b", "c"];
    for user in users {
        assert_eq!(house.log_in(&Sender { user, ..john() }, 10).word(), "wrong");
    }
    let credentials = john().credentials(b"");
    let (verdict, hashes) = work::of(|| house.judge(Some(&credentials), "192.0.2.7", 11));
    assert_eq!((verdict, hashes), (Verdict::Banned { seconds: 299 }, 0));
    assert_eq!(house.judge(None, "192.0.2.7", 11).word(), "banned");
    assert_eq!(house.log_in(&Sender { source: "192.0.2.8", ..john() }, 11).word(), "proven");
    assert_eq!(house.log_in(&john(), 310).word(), "proven");
}

#[tokio::test]
async fn a_guessed_user_is_shut_out_but_not_where_he_was_before() {
    let house = House::with(|auth| auth.max_failures = 3).await;
    assert_eq!(house.log_in(&john(), 1).word(), "proven");
    for source in ["198.51.100.1", "198.51.100.2", "2001:db8::1"] {
        assert_eq!(house.log_in(&Sender { password: "guess", source, ..john() }, 10).word(), "wrong");
    }
    assert_eq!(house.log_in(&Sender { source: "198.51.100.9", ..john() }, 11).word(), "banned");
    assert_eq!(house.log_in(&john(), 11).word(), "proven", "his own phone goes on");
    for _ in 0..3 {
        house.log_in(&Sender { password: "guess", ..john() }, 12);
    }
    assert_eq!(house.log_in(&john(), 13).word(), "banned", "who guesses from there is no exception");
}

#[tokio::test]
async fn an_ipv6_network_is_one_source_and_no_failures_are_counted_when_bans_are_off() {
    let house = House::with(|auth| auth.max_failures = 2).await;
    for source in ["2001:db8:1:2::1", "2001:db8:1:2:ffff::2"] {
        house.log_in(&Sender { source, user: "x", ..john() }, 10);
    }
    assert_eq!(house.judge(None, "2001:db8:1:2:3::3", 11).word(), "banned");
    assert_eq!(house.judge(None, "2001:db8:1:3::3", 11).word(), "asked");
    let open = House::with(|auth| auth.max_failures = 0).await;
    for _ in 0..50 {
        assert_eq!(open.log_in(&Sender { password: "x", ..john() }, 10).word(), "wrong");
    }
}

#[tokio::test]
async fn a_full_table_of_nonces_makes_the_oldest_stale() {
    let house = House::with(|auth| auth.nonces = 2).await;
    let senders = [1, 2, 3].map(|seconds| Sender { nonce: house.nonce("192.0.2.7", seconds), ..john() });
    let ask = |sender: &Sender, nc| {
        house.judge(Some(&Sender { nc, ..sender.clone() }.credentials(b"")), sender.source, 4).word()
    };
    assert_eq!([0, 1, 2].map(|each: usize| ask(&senders[each], 1)), ["proven"; 3]);
    assert_eq!([0, 1, 2].map(|each: usize| ask(&senders[each], 2)), ["stale", "proven", "proven"]);
}
