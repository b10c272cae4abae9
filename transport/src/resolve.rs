//! Names to addresses. Numeric hosts never come here.
//!
//! RFC 3263's chain (NAPTR, SRV, then addresses) will stand in front of this trait and use a DNS client; for
//! now a name means the addresses the system knows for it.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use tokio::sync::Semaphore;

/// Names the system is asked for at once. Each takes a thread of those that files are read and written on, for
/// as long as the name's own server likes: names that strangers register must not take them all.
const AT_ONCE: usize = 64;

/// The answer of a resolver, when it comes.
pub type Lookup<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;

/// Finds the addresses of a host. Tests put their own in its place.
pub trait Resolve: Send + Sync + Debug + 'static {
    /// The addresses of `host`, best first, each with `port`. No address is an error.
    fn lookup<'a>(&'a self, host: &'a str, port: u16) -> Lookup<'a>;
}

/// What the system says (`/etc/hosts`, its DNS).
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn lookup<'a>(&'a self, host: &'a str, port: u16) -> Lookup<'a> {
        /// Of the whole process, as the threads are.
        static ASKING: Semaphore = Semaphore::const_new(AT_ONCE);
        Box::pin(async move {
            let permit = ASKING.acquire().await.map_err(io::Error::other)?;
            let host = host.to_owned();
            // A task of its own: the thread is taken until the system answers, also when nobody waits any more.
            let asking = tokio::spawn(async move {
                let found = tokio::net::lookup_host((host, port)).await.map(Vec::from_iter);
                drop(permit);
                found
            });
            let found = asking.await.map_err(io::Error::other)??;
            if found.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(found) }
        })
    }
}
