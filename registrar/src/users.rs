//! The users that have a password, in a key space of their own. Of a password its HA1 alone is kept
//! (RFC 7616 §5.13 tells why even that must be guarded), one for each algorithm that was enabled when it was set.

use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;
use sip::Uri;
use store::{Space, Store, SwapError};

use crate::codec::{Reader, Writer};
use crate::digest::{self, Algorithm, Hex};
use crate::unix_seconds;

/// The layout of a record.
const FORMAT: [u8; 1] = [1];

/// Octets of a password, at most.
pub const PASSWORD_LIMIT: usize = 256;

/// How often a change is tried anew because another came between.
const ATTEMPTS: usize = 16;

/// A user by name: `john@example.com`, in the one spelling that its address of record has.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserName {
    text: String,
}

impl UserName {
    /// Of the user that `uri` names; `None` without a user or a host. Port, parameters and scheme don't count.
    pub fn of(uri: &Uri) -> Option<Self> {
        Self::at(uri.user()?, std::str::from_utf8(uri.host_octets()?).ok()?)
    }

    /// Of the user part of a URI, escapes in place, at a domain.
    pub fn at(user: &[u8], domain: &str) -> Option<Self> {
        let aor = Uri::parse(&[b"sip:", user, b"@", domain.as_bytes()].concat()).ok()?;
        let has_both = aor.user().is_some() && aor.port().is_none() && aor.params_octets().is_empty();
        let is_plain = has_both && aor.password().is_none() && aor.headers().is_none();
        let text = aor.aor().strip_prefix("sip:")?.to_owned();
        is_plain.then_some(Self { text })
    }

    /// Of the octets of a digest `username`.
    pub(crate) fn of_credentials(username: &[u8], domain: &str) -> Option<Self> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        let mut user = String::with_capacity(username.len());
        for &b in username {
            if plain(b) { user.push(char::from(b)) } else { user.push_str(&format!("%{b:02X}")) }
        }
        Self::at(user.as_bytes(), domain)
    }

    /// Reads `john@example.com`, with or without `sip:` before it.
    ///
    /// # Errors
    /// [`UserError::Name`].
    pub fn parse(text: &str) -> Result<Self, UserError> {
        let text = text.strip_prefix("sip:").unwrap_or(text);
        let (user, domain) = text.rsplit_once('@').ok_or(UserError::Name)?;
        let name = Self::at(user.as_bytes(), domain).ok_or(UserError::Name)?;
        // A colon would make the name of one user and the domain of another the same in a HA1.
        if name.username().contains(&b':') { Err(UserError::Name) } else { Ok(name) }
    }

    /// `john@example.com`, the user part escaped as in a URI.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The address of record: `sip:john@example.com`.
    pub fn aor(&self) -> String {
        format!("sip:{}", self.text)
    }

    /// The domain, in lower case.
    pub fn domain(&self) -> &str {
        self.text.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// What the user writes as digest `username`.
    pub(crate) fn username(&self) -> Vec<u8> {
        let user = self.text.rsplit_once('@').map_or("", |(user, _)| user);
        grammar::percent_decode(user.as_bytes()).into_owned()
    }
}

/// The domain only: who it is is not for logs.
impl fmt::Debug for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserName(..@{})", self.domain())
    }
}

/// One user as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Who.
    pub name: UserName,
    /// The algorithms the user can prove the password with.
    pub algorithms: Vec<Algorithm>,
    /// When the password was set, Unix seconds.
    pub since: u64,
}

/// Why a user was not added or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// The name is none.
    #[error("write the user as USER@DOMAIN, as in john@example.com")]
    Name,
    /// An empty password, a very long one, or one with a line end or a NUL in it.
    #[error("a password has 1 to {PASSWORD_LIMIT} octets on one line")]
    Password,
    /// The store does not write.
    #[error("not stored: {0}")]
    Store(#[from] SwapError),
}

/// The users. Cloning gives another handle.
#[derive(Clone, Debug)]
pub struct Users {
    space: Space,
}

impl Users {
    /// The users that `store` holds.
    pub fn open(store: &Store) -> Self {
        Self { space: store.space("users") }
    }

    /// Whether there is such a user.
    pub fn contains(&self, name: &UserName) -> bool {
        self.space.read(name.text.as_bytes(), |_, _| ()).is_some()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.space.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.space.is_empty()
    }

    /// All of them, by name.
    pub fn list(&self) -> Vec<User> {
        let mut users = Vec::with_capacity(self.len());
        self.space.scan(|key, _, value| {
            let name = std::str::from_utf8(key).ok().map(|text| UserName { text: text.to_owned() });
            users.extend(name.zip(Record::decode(value)).map(|(name, record)| User {
                name,
                algorithms: record.secrets.iter().map(|(algorithm, _)| *algorithm).collect(),
                since: record.since,
            }));
        });
        users.sort_by(|a: &User, b: &User| a.name.cmp(&b.name));
        users
    }

    /// Adds a user, or gives one another password. Says whether the user is new.
    ///
    /// # Errors
    /// [`UserError::Password`], [`UserError::Store`].
    pub async fn set(
        &self,
        name: &UserName,
        password: &[u8],
        algorithms: &[Algorithm],
        now: SystemTime,
    ) -> Result<bool, UserError> {
        let is_line = !password.iter().any(|b| matches!(b, b'\r' | b'\n' | 0));
        if password.is_empty() || password.len() > PASSWORD_LIMIT || !is_line {
            return Err(UserError::Password);
        }
        let ha1 = |algorithm: Algorithm| digest::ha1(algorithm, &name.username(), name.domain(), password);
        let secrets = algorithms.iter().map(|&algorithm| (algorithm, ha1(algorithm).octets())).collect();
        let record = Record { since: unix_seconds(now), secrets }.encode();
        self.swap(name, Some(record)).await.map(|existed| !existed)
    }

    /// Takes a user away. Says whether there was one.
    ///
    /// # Errors
    /// [`UserError::Store`].
    pub async fn remove(&self, name: &UserName) -> Result<bool, UserError> {
        self.swap(name, None).await
    }

    /// The HA1 of a user for that algorithm.
    pub(crate) fn secret(&self, name: &UserName, algorithm: Algorithm) -> Option<Hex> {
        let record = self.space.read(name.text.as_bytes(), |_, value| Record::decode(value))??;
        record.secrets.iter().find(|(each, _)| *each == algorithm).map(|(_, octets)| Hex::of(octets))
    }

    /// Whether there was a record before.
    async fn swap(&self, name: &UserName, new: Option<Bytes>) -> Result<bool, UserError> {
        let key = name.text.as_bytes();
        let mut last = SwapError::Busy;
        for _ in 0..ATTEMPTS {
            let version = self.space.read(key, |version, _| version);
            if version.is_none() && new.is_none() {
                return Ok(false);
            }
            match self.space.swap(key, version, new.clone()).await {
                Ok(_) => return Ok(version.is_some()),
                Err(conflict @ SwapError::Conflict { .. }) => last = conflict,
                Err(error) => return Err(error.into()),
            }
        }
        Err(last.into())
    }
}

struct Record {
    since: u64,
    secrets: Vec<(Algorithm, Vec<u8>)>,
}

impl Record {
    fn encode(&self) -> Bytes {
        let mut out = Writer::new();
        out.fixed(&FORMAT);
        out.number(self.since);
        for algorithm in Algorithm::ALL {
            let secret = self.secrets.iter().find(|(each, _)| *each == algorithm);
            out.optional(secret, |out, (_, octets)| out.octets(octets));
        }
        out.finish()
    }

    fn decode(octets: &[u8]) -> Option<Self> {
        let mut input = Reader::new(Bytes::copy_from_slice(octets));
        if input.fixed()? != FORMAT {
            return None;
        }
        let since = input.number()?;
        let mut secrets = Vec::new();
        for algorithm in Algorithm::ALL {
            let secret = input.optional(Reader::octets)?;
            secrets.extend(secret.map(|octets| (algorithm, octets.to_vec())));
        }
        input.is_empty().then_some(Self { since, secrets })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn name(text: &str) -> UserName {
        UserName::parse(text).unwrap()
    }

    fn users(dir: &tempfile::TempDir) -> Users {
        Users::open(&Store::open(dir.path(), store::Options::default()).unwrap())
    }

    #[test]
    fn one_user_has_one_name_however_it_is_written() {
        for text in ["john@Example.com", "sip:john@example.com", "j%6Fhn@EXAMPLE.COM"] {
            assert_eq!(name(text), name("john@example.com"), "{text}");
        }
        let uri: Uri = "sips:john@example.com:5061;transport=tls".parse().unwrap();
        assert_eq!(UserName::of(&uri).unwrap(), name("john@example.com"));
        assert_eq!(UserName::of_credentials(b"john", "example.com"), Some(name("john@example.com")));
        let hans = UserName::of_credentials("h\u{e4}ns;x@y".as_bytes(), "example.com").unwrap();
        assert_eq!((hans.username(), hans.domain()), ("häns;x@y".as_bytes().to_vec(), "example.com"));
        assert_eq!(name("häns@example.com").username(), "häns".as_bytes());
        assert_ne!(name("John@example.com"), name("john@example.com"));
    }

    #[test]
    fn what_is_no_user_of_a_domain_is_refused() {
        for text in
            ["john", "@example.com", "john@", "john@example.com:5060", "john@example.com;x=y", "a:b@c"]
        {
            assert_eq!(UserName::parse(text), Err(UserError::Name), "{text}");
        }
        assert_eq!(UserName::of(&"sip:example.com".parse().unwrap()), None);
    }

    #[tokio::test]
    async fn a_password_is_kept_as_its_ha1_of_the_enabled_algorithms_and_outlives_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let (now, john) = (SystemTime::UNIX_EPOCH + Duration::from_secs(9), name("john@example.com"));
        let before = users(&dir);
        assert!(before.set(&john, b"secret", &[Algorithm::Sha256], now).await.unwrap());
        drop(before);
        let users = users(&dir);
        let expected = digest::ha1(Algorithm::Sha256, b"john", "example.com", b"secret");
        assert_eq!(users.secret(&john, Algorithm::Sha256), Some(expected));
        assert_eq!(users.secret(&john, Algorithm::Md5), None);
        assert!(!users.set(&john, b"other", &Algorithm::ALL, now).await.unwrap(), "not new");
        let md5 = digest::ha1(Algorithm::Md5, b"john", "example.com", b"other");
        assert_eq!(users.secret(&john, Algorithm::Md5), Some(md5));
        let listed = users.list();
        assert_eq!((listed.len(), listed[0].algorithms.len(), listed[0].since), (1, 2, 9));
        assert!(users.remove(&john).await.unwrap() && !users.remove(&john).await.unwrap());
        assert!(users.is_empty() && !users.contains(&john));
    }

    #[tokio::test]
    async fn nothing_in_the_folder_holds_the_password() {
        let dir = tempfile::tempdir().unwrap();
        let users = users(&dir);
        let password = b"correct-horse-battery";
        users
            .set(&name("john@example.com"), password, &Algorithm::ALL, SystemTime::UNIX_EPOCH)
            .await
            .unwrap();
        drop(users);
        let mut folders = vec![dir.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let octets = std::fs::read(&path).unwrap();
                assert!(!octets.windows(password.len()).any(|window| window == password), "{path:?}");
            }
        }
    }

    #[tokio::test]
    async fn passwords_that_no_phone_could_send_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let users = users(&dir);
        for bad in [&b""[..], b"a\nb", b"a\0b", &[b'x'; PASSWORD_LIMIT + 1]] {
            let set = users.set(&name("a@b"), bad, &Algorithm::ALL, SystemTime::UNIX_EPOCH).await;
            assert_eq!(set, Err(UserError::Password));
        }
    }
}
