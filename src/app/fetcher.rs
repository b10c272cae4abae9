//! The client that fetches contents of others for terminals that can't (`fetch.allow`).
//!
//! A URL comes from a stranger, so nothing but what is listed decides whom this server connects to: the host as it is
//! written, the port, each redirection, and, for names, that they lead to public addresses.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use proxy::fetch::{Fetch, Fetching, Found, NotFetched};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, StatusCode, Url};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::config::Config;

/// Redirections that are followed.
const REDIRECTIONS: usize = 3;

/// Contents fetched at the same time; one more is not fetched.
const AT_ONCE: usize = 64;

const CONNECT: Duration = Duration::from_secs(1);

/// Fetches from listed hosts.
#[derive(Debug)]
pub(super) struct Fetcher {
    client: Client,
    listed: Arc<Listed>,
    most: u64,
    patience: Duration,
    turns: Semaphore,
}

impl Fetcher {
    /// `None`: no host is listed, or there is no client, which the log says why.
    pub(super) fn new(config: &Config) -> Option<Fetcher> {
        let fetch = &config.fetch;
        let listed = Arc::new(Listed::read(&fetch.allow));
        if listed.hosts.is_empty() {
            return None;
        }
        let names = Arc::new(Names { may_be_private: fetch.private });
        let redirections = Arc::clone(&listed);
        let client = Client::builder()
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT)
            .dns_resolver(names)
            .redirect(Policy::custom(move |attempt| redirections.follow(attempt)))
            .pool_max_idle_per_host(0)
            .build();
        let client = client
            .inspect_err(|error| tracing::error!(%error, "nothing is fetched: there is no HTTP client"))
            .ok()?;
        let (most, patience) = (fetch.max_item.0, fetch.timeout.0);
        Some(Fetcher { client, listed, most, patience, turns: Semaphore::new(AT_ONCE) })
    }

    async fn get(&self, url: &str, most: u64) -> Result<Found, NotFetched> {
        let _turn = self.turns.try_acquire().map_err(|_| NotFetched::Late)?;
        let url = self.listed.url(url).ok_or(NotFetched::NotListed)?;
        let asked = self.client.get(url).header(ACCEPT, "*/*").header(ACCEPT_ENCODING, "identity");
        let mut answer = asked.send().await.map_err(failed)?;
        if answer.status() != StatusCode::OK {
            return Err(NotFetched::Failed(answer.status().to_string()));
        }
        if is_coded(answer.headers()) {
            return Err(NotFetched::Failed("a content coding that was not asked for".to_owned()));
        }
        if answer.content_length().is_some_and(|octets| octets > most) {
            return Err(NotFetched::TooLarge);
        }
        let content_type = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.map(str::to_owned);
        let mut content = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(failed)? {
            if (content.len() + piece.len()) as u64 > most {
                return Err(NotFetched::TooLarge);
            }
            content.extend_from_slice(&piece);
        }
        Ok(Found { content_type, content: content.into() })
    }
}

impl Fetch for Fetcher {
    fn is_listed(&self, url: &str) -> bool {
        self.listed.url(url).is_some()
    }

    fn fetch(&self, url: String, most: Option<u64>, patience: Duration) -> Fetching<'_> {
        Box::pin(async move {
            let most = most.unwrap_or(self.most).min(self.most);
            let fetched = timeout(patience.min(self.patience), self.get(&url, most)).await;
            fetched.unwrap_or(Err(NotFetched::Late))
        })
    }
}

fn is_coded(head: &HeaderMap) -> bool {
    head.get(CONTENT_ENCODING).is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Without the URL, and for a redirection to nowhere listed as such.
fn failed(error: reqwest::Error) -> NotFetched {
    if error.is_redirect() {
        NotFetched::NotListed
    } else {
        NotFetched::Failed(error.without_url().to_string())
    }
}

/// The hosts of `fetch.allow`.
#[derive(Debug)]
struct Listed {
    /// Host in lower case, and the port if another than the scheme's.
    hosts: HashSet<(String, Option<u16>)>,
}

impl Listed {
    fn read(allow: &[String]) -> Listed {
        Listed { hosts: allow.iter().filter_map(|entry| host(entry)).collect() }
    }

    /// The URL, if it leads to a listed host and says nothing else that matters: no user, no other scheme.
    fn url(&self, text: &str) -> Option<Url> {
        let url = Url::parse(text).ok()?;
        self.names(&url).then_some(url)
    }

    fn names(&self, url: &Url) -> bool {
        let is_web = matches!(url.scheme(), "http" | "https");
        let is_plain = url.username().is_empty() && url.password().is_none();
        // An address in whatever notation is one form here.
        let host = url.host_str().unwrap_or_default().trim_end_matches('.').to_owned();
        is_web && is_plain && self.hosts.contains(&(host, url.port()))
    }

    /// To listed hosts only, and never from https to http.
    fn follow(&self, attempt: Attempt<'_>) -> reqwest::redirect::Action {
        let was_secure = attempt.previous().iter().any(|url| url.scheme() == "https");
        let falls_back = was_secure && attempt.url().scheme() != "https";
        if attempt.previous().len() > REDIRECTIONS || falls_back || !self.names(attempt.url()) {
            return attempt.error(NotFetched::NotListed);
        }
        attempt.follow()
    }
}

/// Host and port of an entry of `fetch.allow`.
pub(crate) fn host(entry: &str) -> Option<(String, Option<u16>)> {
    let url = Url::parse(&format!("http://{entry}/")).ok()?;
    let is_host = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let is_plain = url.username().is_empty() && url.password().is_none();
    let host = url.host_str()?.trim_end_matches('.').to_owned();
    (is_host && is_plain && !host.is_empty()).then_some((host, url.port()))
}

/// Addresses of listed names. A name that is listed is still its owner's to point anywhere.
struct Names {
    may_be_private: bool,
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let may_be_private = self.may_be_private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let good: Vec<SocketAddr> =
                found.filter(|address| may_be_private || is_public(address.ip())).collect();
            if good.is_empty() {
                return Err("its name leads to no public address".into());
            }
            Ok(Box::new(good.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is one of the public network (RFC 6890), as far as that matters to who is protected here:
/// this machine, its own network, and what clouds serve on link-local addresses.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let shared = a == 100 && (64..128).contains(&b);
            let reserved = a == 0 || a >= 240 || (a == 198 && (b == 18 || b == 19));
            !(shared
                || reserved
                || ip.is_loopback()
                || ip.is_private()
                || ip.is_link_local()
                || ip.is_multicast()
                || ip.is_broadcast()
                || ip.is_documentation())
        }
        IpAddr::V6(ip) => match (ip.to_ipv4_mapped(), ip.segments()) {
            (Some(ip), _) => is_public(ip.into()),
            // NAT64 and 6to4 lead to IPv4 addresses.
            (None, [0x64, 0xff9b, ..] | [0x2002, ..]) => false,
            (None, _) => {
                !(ip.is_loopback()
                    || ip.is_unspecified()
                    || ip.is_unique_local()
                    || ip.is_unicast_link_local()
                    || ip.is_multicast()
                    || ip.to_ipv4().is_some())
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(allow: &[&str]) -> Listed {
        Listed::read(&allow.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn only_the_listed_host_at_its_port_is_led_to() {
        let listed = listed(&["pictures.example.net", "10.0.0.7:8080", "[2001:db8::1]"]);
        for url in [
            "http://pictures.example.net/a.gif",
            "https://PICTURES.example.net./a.gif?x=1",
            "http://10.0.0.7:8080/x",
            "http://[2001:db8::1]/x",
        ] {
            assert!(listed.url(url).is_some(), "{url}");
        }
        for url in [
            "http://pictures.example.net:8080/a.gif",
            "http://pictures.example.net.evil.example/",
            "http://evil.example/pictures.example.net",
            "http://pictures.example.net@evil.example/",
            "http://user:pw@pictures.example.net/",
            "http://evil.example#pictures.example.net",
            "http://evil.example\\@pictures.example.net/",
            "ftp://pictures.example.net/a.gif",
            "file:///etc/passwd",
            "gopher://pictures.example.net/",
            "http://10.0.0.7/x",
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://169.254.169.254/latest/meta-data",
            "http://[::1]/",
            "http:///etc",
            "pictures.example.net",
        ] {
            assert!(listed.url(url).is_none(), "{url}");
        }
    }

    #[test]
    fn an_entry_is_a_host_and_perhaps_a_port() {
        assert_eq!(host("A.example"), Some(("a.example".into(), None)));
        assert_eq!(host("127.1:81"), Some(("127.0.0.1".into(), Some(81))));
        for wrong in ["", "http://a", "a/b", "a?b", "u@a", "a b", "*"] {
            assert!(host(wrong).is_none_or(|(host, _)| host == "*"), "{wrong}");
        }
    }

    #[test]
    fn private_addresses_are_told_from_public_ones() {
        for public in ["192.0.1.1", "8.8.8.8", "2606:4700::1111"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_no_name() {
        let ask = |may_be_private| Names { may_be_private }.resolve("localhost".parse().unwrap());
        assert!(ask(false).await.is_err());
        assert!(ask(true).await.unwrap().count() > 0);
    }
}
