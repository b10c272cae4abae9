//! What the system says: its hosts file and whatever else it is set up to ask. It knows addresses only.

use std::io;
use std::net::IpAddr;

use tokio::sync::Semaphore;

use super::{Family, Lookup, LookupError, Resolve};

/// Names the system is asked for at once. Each takes a thread of those that files are read and written on, for
/// as long as the name's own server likes: names that strangers register must not take them all.
const AT_ONCE: usize = 64;

/// The system's own resolver, without NAPTR and SRV.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn addresses<'a>(&'a self, host: &'a str, family: Family) -> Lookup<'a, IpAddr> {
        /// Of the whole process, as the threads are.
        static ASKING: Semaphore = Semaphore::const_new(AT_ONCE);
        Box::pin(async move {
            let permit = ASKING.acquire().await.map_err(|_closed| LookupError::Failed)?;
            let host = host.to_owned();
            // A task of its own: the thread is taken until the system answers, also when nobody waits any more.
            let asking = tokio::spawn(async move {
                let found = tokio::net::lookup_host((host, 0)).await.map(Vec::from_iter);
                drop(permit);
                found
            });
            match asking.await.map_err(|_broken| LookupError::Failed)? {
                Ok(found) => Ok(of_family(found.into_iter().map(|addr| addr.ip()), family)),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(LookupError::TimedOut),
                // The system tells "no such name" and "no answer" apart in words only.
                Err(_) => Err(LookupError::Failed),
            }
        })
    }
}

fn of_family(found: impl Iterator<Item = IpAddr>, family: Family) -> Vec<IpAddr> {
    let mut kept: Vec<IpAddr> = Vec::new();
    for ip in found.filter(|ip| Family::of(*ip) == family) {
        if !kept.contains(&ip) {
            kept.push(ip);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_hosts_file_knows_this_machine() {
        let found = SystemResolver.addresses("localhost", Family::V4).await.unwrap();
        assert_eq!(found, [IpAddr::from([127, 0, 0, 1])]);
    }
}
