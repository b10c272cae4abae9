//! The chain over a table of records, rule by rule.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Asker, Desk, Family, Locator, Lookup, LookupError, Naptr, Resolve, Sockets, Srv};
use crate::{Destination, Metrics, Protocol, may_reach};

/// Records as in a zone file: `name TYPE data`; `name TYPE SILENT` never answers, `name TYPE FAILS` says so.
#[derive(Debug, Default)]
struct Zone {
    records: Vec<Vec<String>>,
    asked: Mutex<Vec<String>>,
}

impl Zone {
    fn new(text: &str) -> Arc<Zone> {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
        let records = text.lines().map(words).filter(|words: &Vec<_>| !words.is_empty()).collect();
        Arc::new(Zone { records, asked: Mutex::default() })
    }

    async fn find<T>(
        &self,
        name: &str,
        kind: &str,
        read: impl Fn(&[String]) -> T,
    ) -> Result<Vec<T>, LookupError> {
        self.asked.lock().unwrap().push(format!("{name} {kind}"));
        let mut found = Vec::new();
        for record in self.records.iter().filter(|record| record[0] == name && record[1] == kind) {
            match record[2].as_str() {
                "SILENT" => std::future::pending().await,
                "FAILS" => return Err(LookupError::Failed),
                _ => found.push(read(&record[2..])),
            }
        }
        Ok(found)
    }
}

impl Resolve for Zone {
    fn naptr<'a>(&'a self, domain: &'a str) -> Lookup<'a, Naptr> {
        Box::pin(self.find(domain, "NAPTR", |data| Naptr {
            order: data[0].parse().unwrap(),
            preference: data[1].parse().unwrap(),
            flags: data[2].clone(),
            service: data[3].clone(),
            replacement: data[4].clone(),
        }))
    }

    fn srv<'a>(&'a self, service: &'a str) -> Lookup<'a, Srv> {
        Box::pin(self.find(service, "SRV", |data| Srv {
            priority: data[0].parse().unwrap(),
            weight: data[1].parse().unwrap(),
            port: data[2].parse().unwrap(),
            target: data[3].clone(),
        }))
    }

    fn addresses<'a>(&'a self, host: &'a str, family: Family) -> Lookup<'a, IpAddr> {
        let kind = if family == Family::V4 { "A" } else { "AAAA" };
        Box::pin(self.find(host, kind, |data| data[0].parse().unwrap()))
    }
}

const UDP4: (Protocol, &str) = (Protocol::Udp, "0.0.0.0:5060");
const TCP4: (Protocol, &str) = (Protocol::Tcp, "0.0.0.0:5060");
const TLS4: (Protocol, &str) = (Protocol::Tls, "0.0.0.0:5061");
const UDP6: (Protocol, &str) = (Protocol::Udp, "[::]:5060");
const ALL: [(Protocol, &str); 3] = [UDP4, TCP4, TLS4];

fn locator(zone: &Arc<Zone>, listeners: &[(Protocol, &str)]) -> Locator {
    let sockets = Sockets::new(listeners.iter().map(|(protocol, addr)| (*protocol, addr.parse().unwrap())));
    let limit = Duration::from_secs(5);
    let desk = Desk::new(Arc::clone(zone) as _, Arc::new(Metrics::register()), limit / 2);
    Locator::new(Arc::new(desk), sockets, limit)
}

/// The ways to a URI as text, or why there is none.
async fn ways(zone: &str, listeners: &[(Protocol, &str)], uri: &str) -> String {
    ways_for(&locator(&Zone::new(zone), listeners), uri, None).await
}

async fn ways_for(locator: &Locator, uri: &str, named_by: Option<&str>) -> String {
    let named_by: Option<IpAddr> = named_by.map(|ip| ip.parse().unwrap());
    let open = |addr| named_by.is_none_or(|source| may_reach(source, addr));
    let found = locator.locate(&uri.parse().unwrap(), Asker::Stranger, &open, &mut |_| 0).await;
    let shown = |way: &Destination| format!("{}:{}", way.protocol().name(), way.remote());
    match found {
        Ok(ways) => ways.iter().map(shown).collect::<Vec<_>>().join(" "),
        Err(error) => format!("{error:?}"),
    }
}

/// The domain of RFC 3263 §4.1.
const EXAMPLE: &str = "
    example.com NAPTR 50 50 s SIPS+D2T _sips._tcp.example.com
    example.com NAPTR 90 50 s SIP+D2T _sip._tcp.example.com
    example.com NAPTR 100 50 s SIP+D2U _sip._udp.example.com
    _sips._tcp.example.com SRV 0 1 5061 server1.example.com
    _sip._tcp.example.com SRV 0 1 5060 server1.example.com
    _sip._tcp.example.com SRV 1 2 5070 server2.example.com
    _sip._udp.example.com SRV 0 1 5080 server2.example.com
    server1.example.com A 192.0.2.1
    server2.example.com A 192.0.2.2
    example.com A 192.0.2.9";

#[tokio::test]
async fn the_chain_of_the_rfc() {
    for (uri, listeners, expected) in [
        // §4.1: NAPTR chooses among what we speak.
        ("sip:example.com", &[UDP4, TCP4][..], "tcp:192.0.2.1:5060 tcp:192.0.2.2:5070"),
        ("sip:example.com", &[UDP4], "udp:192.0.2.2:5080"),
        ("sip:example.com", &ALL, "tls:192.0.2.1:5061"),
        ("sips:example.com", &ALL, "tls:192.0.2.1:5061"),
        // The transport parameter goes before NAPTR, and leaves SRV.
        ("sip:example.com;transport=udp", &ALL, "udp:192.0.2.2:5080"),
        ("sip:example.com;transport=tls", &ALL, "tls:192.0.2.1:5061"),
        ("sips:example.com;transport=tcp", &ALL, "tls:192.0.2.1:5061"),
        ("sips:example.com;transport=udp", &ALL, "NoTransport"),
        ("sip:example.com;transport=ws", &ALL, "NoTransport"),
        // An explicit port: addresses of the domain only, and the transport by default.
        ("sip:example.com:5099", &ALL, "udp:192.0.2.9:5099"),
        ("sips:example.com:5099", &ALL, "tls:192.0.2.9:5099"),
        ("sip:example.com:5099;transport=tcp", &ALL, "tcp:192.0.2.9:5099"),
        // Numbers.
        ("sip:192.0.2.77", &ALL, "udp:192.0.2.77:5060"),
        ("sips:192.0.2.77", &ALL, "tls:192.0.2.77:5061"),
        ("sip:[2001:db8::1]:5070;transport=tcp", &ALL, "tcp:[2001:db8::1]:5070"),
        ("sip:example.com;maddr=192.0.2.78", &ALL, "udp:192.0.2.78:5060"),
        ("sip:elsewhere.net;maddr=example.com", &[UDP4], "udp:192.0.2.2:5080"),
        ("sip:EXAMPLE.com.", &[UDP4], "udp:192.0.2.2:5080"),
        ("sip:elsewhere.net", &ALL, "NotFound"),
    ] {
        assert_eq!(ways(EXAMPLE, listeners, uri).await, expected, "{uri}");
    }
}

#[tokio::test]
async fn without_naptr_the_services_are_guessed_and_without_srv_the_domain_is_a_host() {
    let zone = "
        a.net A 192.0.2.1
        _sip._udp.b.net SRV 0 0 5070 a.net
        _sip._tcp.b.net SRV 0 0 5071 a.net
        b.net A 192.0.2.2
        c.net NAPTR 1 1 s SIP+D2T _sip._tcp.c.net
        c.net A 192.0.2.3
        d.net NAPTR 1 1 a SIP+D2T a.net
        e.net NAPTR 1 1 s SIP+D2S _sip._sctp.e.net
        e.net A 192.0.2.5
        _sip._udp.f.net SRV 0 0 0 .
        f.net A 192.0.2.6";
    for (uri, expected) in [
        ("sip:a.net", "udp:192.0.2.1:5060"),
        ("sips:a.net", "tls:192.0.2.1:5061"),
        ("sip:a.net;transport=tcp", "tcp:192.0.2.1:5060"),
        ("sip:b.net", "tcp:192.0.2.1:5071 udp:192.0.2.1:5070"),
        ("sip:c.net", "tcp:192.0.2.3:5060"),
        ("sip:d.net", "tcp:192.0.2.1:5060"),
        ("sip:e.net", "udp:192.0.2.5:5060"),
        // "." says that the service is decidedly not there (RFC 2782).
        ("sip:f.net", "NotFound"),
    ] {
        assert_eq!(ways(zone, &ALL, uri).await, expected, "{uri}");
    }
}

#[tokio::test]
async fn both_families_are_looked_up_as_far_as_we_have_sockets() {
    let zone = "
        a.net A 192.0.2.1
        a.net AAAA 2001:db8::1
        b.net AAAA ::ffff:192.0.2.2";
    assert_eq!(ways(zone, &[UDP4, UDP6], "sip:a.net").await, "udp:[2001:db8::1]:5060 udp:192.0.2.1:5060");
    assert_eq!(ways(zone, &[UDP4], "sip:a.net").await, "udp:192.0.2.1:5060");
    assert_eq!(ways(zone, &[UDP6], "sip:a.net").await, "udp:[2001:db8::1]:5060");
    assert_eq!(ways(zone, &[UDP6], "sip:b.net").await, "NotFound", "no socket for what it is");
    assert_eq!(ways(zone, &[UDP4, UDP6], "sip:b.net").await, "udp:192.0.2.2:5060");
}

#[tokio::test]
async fn who_must_prove_itself_is_the_host_of_the_uri() {
    let locator = locator(&Zone::new(EXAMPLE), &ALL);
    let found = locator
        .locate(&"sips:example.com".parse().unwrap(), Asker::Operator, &|_| true, &mut |_| 0)
        .await
        .unwrap();
    let addr = "192.0.2.1:5061".parse().unwrap();
    assert_eq!(found, [Destination::to(Protocol::Tls, addr, Some("example.com"))]);
    let found = locator
        .locate(&"sips:192.0.2.1".parse().unwrap(), Asker::Operator, &|_| true, &mut |_| 0)
        .await
        .unwrap();
    assert_eq!(found, [Destination::to(Protocol::Tls, addr, None)]);
}

#[tokio::test]
async fn a_name_leads_strangers_no_further_inside_than_they_are() {
    let zone = "
        inside.net A 10.0.0.1
        inside.net A 192.0.2.1
        machine.net A 127.0.0.1
        mapped.net AAAA ::ffff:127.0.0.1
        _sip._udp.srv.net SRV 0 0 6379 machine.net
        _sip._udp.group.net SRV 0 0 5060 group.net
        group.net A 224.0.1.75";
    let zone = Zone::new(zone);
    let locator = locator(&zone, &[UDP4, UDP6]);
    for (uri, named_by, expected) in [
        ("sip:inside.net", Some("198.51.100.7"), "udp:192.0.2.1:5060"),
        ("sip:inside.net", Some("10.9.9.9"), "udp:10.0.0.1:5060 udp:192.0.2.1:5060"),
        ("sip:machine.net", Some("198.51.100.7"), "Closed"),
        ("sip:mapped.net", Some("198.51.100.7"), "Closed"),
        ("sip:srv.net", Some("10.9.9.9"), "Closed"),
        ("sip:group.net", Some("127.0.0.1"), "Closed"),
        ("sip:127.0.0.1", Some("198.51.100.7"), "Closed"),
        ("sip:[::ffff:10.0.0.1]", Some("198.51.100.7"), "Closed"),
        ("sip:machine.net", None, "udp:127.0.0.1:5060"),
    ] {
        assert_eq!(ways_for(&locator, uri, named_by).await, expected, "{uri}");
    }
}

/// A name that is outside the first time it is asked for, and inside from then on.
#[derive(Debug, Default)]
struct Rebinding(std::sync::atomic::AtomicBool);

impl Resolve for Rebinding {
    fn addresses<'a>(&'a self, _: &'a str, family: Family) -> Lookup<'a, IpAddr> {
        let again = family == Family::V4 && self.0.swap(true, std::sync::atomic::Ordering::Relaxed);
        let ip = if again { [127, 0, 0, 1] } else { [192, 0, 2, 1] };
        Box::pin(async move { Ok(vec![ip.into()]) })
    }
}

#[tokio::test]
async fn a_name_that_turns_inside_later_leads_nowhere() {
    let limit = Duration::from_secs(5);
    let desk = Desk::new(Arc::new(Rebinding::default()), Arc::new(Metrics::register()), limit);
    let sockets = Sockets::new([(Protocol::Udp, "0.0.0.0:0".parse().unwrap())]);
    let locator = Locator::new(Arc::new(desk), sockets, limit);
    let ask = || ways_for(&locator, "sip:evil.net:6379", Some("198.51.100.7"));
    assert_eq!(ask().await, "udp:192.0.2.1:6379");
    assert_eq!(ask().await, "Closed");
}

#[tokio::test]
async fn servers_that_fail_on_naptr_or_srv_are_asked_for_the_rest() {
    let zone = "
        a.net NAPTR FAILS
        _sip._udp.a.net SRV 0 0 5070 a.net
        a.net A 192.0.2.1
        b.net NAPTR FAILS
        _sip._udp.b.net SRV FAILS
        b.net A 192.0.2.2
        c.net A FAILS
        d.net AAAA FAILS
        d.net A 192.0.2.4";
    for (uri, expected) in [
        ("sip:a.net", "udp:192.0.2.1:5070"),
        ("sip:b.net", "udp:192.0.2.2:5060"),
        ("sip:c.net", "NoAnswer"),
        ("sip:d.net", "udp:192.0.2.4:5060"),
    ] {
        assert_eq!(ways(zone, &[UDP4, UDP6], uri).await, expected, "{uri}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_for_one_uri_is_bounded_and_what_was_found_in_it_counts() {
    let silent = "a.net NAPTR SILENT\n_sip._udp.a.net SRV SILENT\na.net A SILENT";
    let start = tokio::time::Instant::now();
    assert_eq!(ways(silent, &[UDP4], "sip:a.net").await, "NoAnswer");
    assert_eq!(start.elapsed().as_secs(), 5);
    let start = tokio::time::Instant::now();
    let partly = "b.net NAPTR SILENT\nb.net AAAA SILENT\nb.net A 192.0.2.1";
    assert_eq!(ways(partly, &[UDP4, UDP6], "sip:b.net").await, "udp:192.0.2.1:5060");
    assert!(start.elapsed().as_secs() <= 5);
}

#[tokio::test]
async fn many_records_lead_to_few_addresses_and_few_questions() {
    let mut text = String::new();
    for n in 0..60 {
        text += &format!("big.net NAPTR 1 {n} s SIP+D2U _s{n}.big.net\n");
        for m in 0..60 {
            text += &format!("_s{n}.big.net SRV 0 0 5060 h{n}x{m}.big.net\n");
            text += &format!("h{n}x{m}.big.net A 192.0.{n}.{m}\n");
        }
    }
    let zone = Zone::new(&text);
    let locator = locator(&zone, &[UDP4]);
    let found = ways_for(&locator, "sip:big.net", None).await;
    assert!(found.split(' ').count() <= super::locate::PLACES);
    let asked = zone.asked.lock().unwrap().len();
    assert!(asked <= 1 + super::select::SERVICES + super::select::SERVERS, "{asked}");
    let many: String = (0..200).map(|n| format!("wide.net A 192.0.2.{n}\n")).collect();
    let found = ways(&many, &[UDP4], "sip:wide.net").await;
    assert_eq!(found.split(' ').count(), super::select::ADDRESSES_PER_HOST);
}
