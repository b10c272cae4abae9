//! The chain of RFC 3263 §4 over a resolver's answers: which addresses a URI stands for, in the order they are
//! to be tried, and over what.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use sip::Uri;
use tokio::time::Instant;

use super::question::{Question, Sockets, Target};
use super::select::{self, Service};
use super::{Asker, Desk, LookupError};
use crate::{Destination, Protocol};

/// Addresses that are tried for one URI at most.
pub(crate) const PLACES: usize = 16;

/// Why there is nowhere to send to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocateError {
    /// The URI has no host.
    #[error("the URI has no host")]
    NoHost,
    /// It asks for a transport that nothing can be sent over.
    #[error("no such transport")]
    NoTransport,
    /// There is no such name, or it has no address of a family we have.
    #[error("the name has no address")]
    NotFound,
    /// The name servers did not say, or not in time.
    #[error("the name servers did not answer")]
    NoAnswer,
    /// Who named it may reach none of its addresses.
    #[error("its addresses are closed to who named it")]
    Closed,
}

/// Finds the ways to a URI.
#[derive(Debug)]
pub(crate) struct Locator {
    desk: Arc<Desk>,
    sockets: Sockets,
    /// What all questions for one URI may take.
    limit: Duration,
}

/// A place without the name it was found for.
type Place = (Protocol, SocketAddr);

/// What one search of the chain knows: whether names were not there, or questions not answered.
struct Search<'a> {
    locator: &'a Locator,
    asker: Asker,
    deadline: Instant,
}

impl Locator {
    pub(crate) fn new(desk: Arc<Desk>, sockets: Sockets, limit: Duration) -> Self {
        Self { desk, sockets, limit }
    }

    /// The ways to a URI, best first, never none, to addresses that are `open` only. `dice` gives a number from
    /// 0 to its argument.
    pub(crate) async fn locate(
        &self,
        uri: &Uri,
        asker: Asker,
        open: &(dyn Fn(SocketAddr) -> bool + Sync),
        dice: &mut (dyn FnMut(u32) -> u32 + Send),
    ) -> Result<Vec<Destination>, LocateError> {
        let question = Question::of(uri)?;
        let places = match self.literal(&question) {
            Some(place) => vec![place],
            None => {
                let search = Search { locator: self, asker, deadline: Instant::now() + self.limit };
                Box::pin(search.places(&question, dice)).await?
            }
        };
        let found = places.len();
        let mut ways: Vec<Destination> = Vec::new();
        // An answer of the DNS is as little to be trusted as the number it stands for: names that turn inside
        // after they were looked at once (DNS rebinding) are looked at here again, each time.
        for (protocol, addr) in places.into_iter().filter(|(_, addr)| open(*addr)) {
            let way = Destination::to(protocol, addr, question.name.as_deref());
            if ways.len() < PLACES && !ways.contains(&way) {
                ways.push(way);
            }
        }
        match ways.is_empty() {
            false => Ok(ways),
            true if found > 0 => Err(LocateError::Closed),
            true => Err(LocateError::NotFound),
        }
    }

    /// Of a URI with an address: nobody is asked.
    fn literal(&self, question: &Question) -> Option<Place> {
        let Target::Address(ip) = &question.target else { return None };
        let default = self.sockets.default_protocol(question.secure);
        let protocol = question.protocol.unwrap_or(default);
        let port = question.port.unwrap_or(protocol.default_port());
        Some((protocol, SocketAddr::new(*ip, port)))
    }
}

impl Search<'_> {
    /// RFC 3263 §4.1 and §4.2 in their order.
    async fn places(
        &self,
        question: &Question,
        dice: &mut (dyn FnMut(u32) -> u32 + Send),
    ) -> Result<Vec<Place>, LocateError> {
        let sockets = &self.locator.sockets;
        let default = sockets.default_protocol(question.secure);
        let domain = match &question.target {
            Target::Address(_) => return Ok(self.locator.literal(question).into_iter().collect()),
            Target::Name(domain) => domain,
        };
        if let Some(port) = question.port {
            return self.host(question.protocol.unwrap_or(default), domain, port).await;
        }
        let (services, otherwise) = match question.protocol {
            Some(protocol) => (vec![select::of_protocol(domain, protocol)], protocol),
            None => self.services(domain, question.secure).await,
        };
        if let Some(places) = self.of_services(&services, dice).await? {
            return Ok(places);
        }
        // No SRV record: the domain is a host (§4.2).
        self.host(otherwise, domain, otherwise.default_port()).await
    }

    /// What the domain offers, by its NAPTR records, or what it may offer (§4.1), and the protocol if none of
    /// it has an SRV record. Servers that can't answer questions for NAPTR are taken for ones without it.
    async fn services(&self, domain: &str, secure: bool) -> (Vec<Service>, Protocol) {
        let sockets = &self.locator.sockets;
        let records = self.locator.desk.naptr(domain, self.asker, self.deadline).await.unwrap_or_default();
        let services = select::services(records, secure, sockets);
        match services.first().map(|best| best.protocol) {
            Some(protocol) => (services, protocol),
            None => (select::guesses(domain, secure, sockets), sockets.default_protocol(secure)),
        }
    }

    /// The servers of each service in turn. `None`: no service has an SRV record.
    async fn of_services(
        &self,
        services: &[Service],
        dice: &mut (dyn FnMut(u32) -> u32 + Send),
    ) -> Result<Option<Vec<Place>>, LocateError> {
        let asked = join_all(services.iter().map(|service| async move {
            match service.is_host {
                true => Ok(Vec::new()),
                false => self.locator.desk.srv(&service.name, self.asker, self.deadline).await,
            }
        }));
        let mut hosts = Vec::new();
        let (mut known, mut failed) = (false, false);
        for (service, records) in services.iter().zip(asked.await) {
            match records {
                Ok(_) if service.is_host => {
                    known = true;
                    hosts.push((service.protocol, service.name.clone(), service.protocol.default_port()));
                }
                Ok(records) => {
                    known |= !records.is_empty();
                    let servers = select::servers(records, dice).into_iter();
                    hosts.extend(servers.map(|srv| (service.protocol, srv.target, srv.port)));
                }
                Err(_) => failed = true,
            }
        }
        if !known {
            // A server that fails on SRV may know the host. One that is silent has used up the time.
            return if failed && Instant::now() >= self.deadline {
                Err(LocateError::NoAnswer)
            } else {
                Ok(None)
            };
        }
        hosts.truncate(select::SERVERS);
        let found =
            join_all(hosts.iter().map(|(protocol, host, port)| self.host(*protocol, host, *port))).await;
        let mut places = Vec::new();
        let mut failure = LocateError::NotFound;
        for found in found {
            match found {
                Ok(found) => places.extend(found),
                Err(LocateError::NoAnswer) => failure = LocateError::NoAnswer,
                Err(_) => {}
            }
        }
        if places.is_empty() { Err(failure) } else { Ok(Some(places)) }
    }

    /// The addresses of a host, of the families we have sockets of (RFC 7984 §3).
    async fn host(&self, protocol: Protocol, host: &str, port: u16) -> Result<Vec<Place>, LocateError> {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        // A record may name a number in disguise; numbers are never asked for.
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![(protocol, SocketAddr::new(ip.to_canonical(), port))]);
        }
        let families = self.locator.sockets.families(protocol);
        let asked = families
            .iter()
            .map(|family| self.locator.desk.addresses(&host, *family, self.asker, self.deadline));
        let (mut found, mut failed) = (Vec::new(), false);
        for answer in join_all(asked).await {
            match answer {
                Ok(addresses) => found.extend(addresses),
                Err(LookupError::TimedOut | LookupError::Failed | LookupError::Busy) => failed = true,
            }
        }
        let places: Vec<Place> = select::addresses(found)
            .into_iter()
            .filter(|ip| families.contains(&super::Family::of(*ip)))
            .map(|ip| (protocol, SocketAddr::new(ip, port)))
            .collect();
        match (places.is_empty(), failed) {
            (false, _) => Ok(places),
            (true, true) => Err(LocateError::NoAnswer),
            (true, false) => Err(LocateError::NotFound),
        }
    }
}
