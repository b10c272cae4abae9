//! Names to addresses. Numeric hosts never come here.
//!
//! RFC 3263's chain (NAPTR, SRV, then addresses) will stand in front of this trait and use a DNS client; for
//! now a name means the addresses the system knows for it.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

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
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((host, port)).await?.collect();
            if found.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(found) }
        })
    }
}
