//! The choice among records, apart from the questions: which services (RFC 3263 §4.1), in which order their
//! servers (RFC 2782), and in which order the addresses of one server (RFC 7984, RFC 6724 §2.1). Pure: chance
//! is an argument.

use std::net::{IpAddr, Ipv6Addr};

use super::question::Sockets;
use super::{Naptr, Srv};
use crate::Protocol;

/// Services taken from the NAPTR records of one domain.
pub(crate) const SERVICES: usize = 4;

/// Servers taken from the SRV records of one service.
pub(crate) const SERVERS: usize = 8;

/// Addresses taken of one host.
pub(crate) const ADDRESSES_PER_HOST: usize = 8;

/// A service that a domain offers and we can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) protocol: Protocol,
    /// The name to ask for.
    pub(crate) name: String,
    /// Whether that name is a host, at the protocol's own port.
    pub(crate) is_host: bool,
}

/// The services of NAPTR records that we can use: those of the lowest order that has any, the most preferred
/// first (RFC 3403 §4.1). A SIPS URI keeps SIPS services only. D2W (RFC 7118 §5.4) is not dialled.
pub(crate) fn services(mut records: Vec<Naptr>, secure: bool, sockets: &Sockets) -> Vec<Service> {
    records.sort_by_key(|record| (record.order, record.preference));
    let mut chosen = None;
    let mut services = Vec::new();
    for record in records {
        let Some(service) = service(&record, secure, sockets) else { continue };
        if *chosen.get_or_insert(record.order) != record.order {
            break;
        }
        if services.len() < SERVICES && !services.contains(&service) {
            services.push(service);
        }
    }
    services
}

fn service(record: &Naptr, secure: bool, sockets: &Sockets) -> Option<Service> {
    const KNOWN: [(&str, Protocol); 3] =
        [("SIPS+D2T", Protocol::Tls), ("SIP+D2T", Protocol::Tcp), ("SIP+D2U", Protocol::Udp)];
    let (_, protocol) = KNOWN.into_iter().find(|(name, _)| record.service.eq_ignore_ascii_case(name))?;
    if (secure && !protocol.is_secure()) || !sockets.speak(protocol) {
        return None;
    }
    let is_host = match record.flags.as_str() {
        "s" | "S" => false,
        "a" | "A" => true,
        // Not terminal: RFC 3263 has no such records, and each would be one more question.
        _ => return None,
    };
    (!is_nothing(&record.replacement)).then(|| Service {
        protocol,
        name: record.replacement.clone(),
        is_host,
    })
}

/// The services to ask for where no NAPTR record says which (§4.1), the most wanted first.
pub(crate) fn guesses(domain: &str, secure: bool, sockets: &Sockets) -> Vec<Service> {
    let wanted = [Protocol::Tls, Protocol::Tcp, Protocol::Udp].into_iter();
    let usable = wanted.filter(|protocol| sockets.speak(*protocol) && (!secure || protocol.is_secure()));
    usable.map(|protocol| of_protocol(domain, protocol)).collect()
}

/// The service of a protocol in a domain (§4.2).
pub(crate) fn of_protocol(domain: &str, protocol: Protocol) -> Service {
    let label = match protocol {
        Protocol::Udp => "_sip._udp",
        Protocol::Tcp => "_sip._tcp",
        Protocol::Tls => "_sips._tcp",
        // RFC 7118 §5.4 names these; who asks has turned them away.
        Protocol::Ws => "_sip._ws",
        Protocol::Wss => "_sips._ws",
    };
    Service { protocol, name: format!("{label}.{domain}"), is_host: false }
}

/// SRV records in the order they are to be tried: by priority, and by weighted chance among equals (RFC 2782).
/// `dice` gives a number from 0 to its argument, both included.
pub(crate) fn servers(mut records: Vec<Srv>, dice: &mut dyn FnMut(u32) -> u32) -> Vec<Srv> {
    // Of very many records only some are looked at; a zone of that size is not written by hand.
    records.truncate(SERVERS * 32);
    records.retain(|record| !is_nothing(&record.target) && record.port != 0);
    records.sort_by_key(|record| (record.priority, record.weight));
    let mut ordered = Vec::new();
    for equals in records.chunk_by(|a, b| a.priority == b.priority) {
        // Those of weight 0 stand first and so are chosen rarely.
        let mut left: Vec<Srv> = equals.to_vec();
        while ordered.len() < SERVERS && !left.is_empty() {
            let sum = left.iter().map(|record| u32::from(record.weight)).sum();
            let at = falls_on(&left, dice(sum));
            ordered.push(left.remove(at));
        }
    }
    ordered
}

/// The record whose running sum of weights reaches the number first.
fn falls_on(records: &[Srv], number: u32) -> usize {
    let mut sum = 0u32;
    let reaches = |record: &Srv| {
        sum = sum.saturating_add(u32::from(record.weight));
        sum >= number
    };
    records.iter().position(reaches).unwrap_or(0)
}

/// The addresses of one host, of both families: by the precedence of RFC 6724 §2.1, those of equal rank as the
/// server gave them. IPv4 addresses dressed as IPv6 are what they are. Its other rules want routes and source
/// addresses: an address without a route fails at once, and the next one is tried.
pub(crate) fn addresses(found: impl IntoIterator<Item = IpAddr>) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for ip in found.into_iter().map(|ip| ip.to_canonical()) {
        if !addresses.contains(&ip) {
            addresses.push(ip);
        }
    }
    addresses.sort_by_key(|ip| std::cmp::Reverse(precedence(*ip)));
    addresses.truncate(ADDRESSES_PER_HOST);
    addresses
}

/// The table of RFC 6724 §2.1.
fn precedence(ip: IpAddr) -> u8 {
    let IpAddr::V6(v6) = ip else { return 35 };
    let bits = v6.to_bits();
    let starts = |prefix: u128, length: u32| bits.checked_shr(128 - length) == Some(prefix);
    match () {
        () if v6 == Ipv6Addr::LOCALHOST => 50,
        () if starts(0x2002, 16) => 30,
        () if starts(0x2001_0000, 32) => 5,
        () if starts(0xfc >> 1, 7) => 3,
        () if starts(0, 96) || starts(0xfec0 >> 6, 10) || starts(0x3ffe, 16) => 1,
        () => 40,
    }
}

/// `.` says that there is none.
fn is_nothing(name: &str) -> bool {
    name.trim_end_matches('.').is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sockets(protocols: &[Protocol]) -> Sockets {
        Sockets::new(protocols.iter().map(|protocol| (*protocol, "127.0.0.1:0".parse().unwrap())))
    }

    const ALL: [Protocol; 3] = [Protocol::Udp, Protocol::Tcp, Protocol::Tls];

    /// One line each: order, preference, flags, service, replacement.
    fn naptr(lines: &[&str]) -> Vec<Naptr> {
        let record = |line: &&str| {
            let words: Vec<_> = line.split(' ').collect();
            Naptr {
                order: words[0].parse().unwrap(),
                preference: words[1].parse().unwrap(),
                flags: words[2].to_owned(),
                service: words[3].to_owned(),
                replacement: words[4].to_owned(),
            }
        };
        lines.iter().map(record).collect()
    }

    fn chosen(lines: &[&str], secure: bool, protocols: &[Protocol]) -> Vec<String> {
        services(naptr(lines), secure, &sockets(protocols)).into_iter().map(|service| service.name).collect()
    }

    /// The example of RFC 3263 §4.1.
    const EXAMPLE: [&str; 3] = [
        "50 50 s SIPS+D2T _sips._tcp.example.com",
        "90 50 s SIP+D2T _sip._tcp.example.com",
        "100 50 s SIP+D2U _sip._udp.example.com",
    ];

    #[test]
    fn the_example_of_the_rfc() {
        assert_eq!(chosen(&EXAMPLE, false, &[Protocol::Udp, Protocol::Tcp]), ["_sip._tcp.example.com"]);
        assert_eq!(chosen(&EXAMPLE, false, &ALL), ["_sips._tcp.example.com"]);
        assert_eq!(chosen(&EXAMPLE, false, &[Protocol::Udp]), ["_sip._udp.example.com"]);
    }

    #[test]
    fn sips_discards_every_service_that_is_not_sips() {
        assert_eq!(chosen(&EXAMPLE, true, &ALL), ["_sips._tcp.example.com"]);
        assert_eq!(chosen(&EXAMPLE, true, &[Protocol::Udp, Protocol::Tcp]), [""; 0]);
    }

    #[test]
    fn preference_orders_the_services_of_one_order() {
        let lines = ["10 20 s SIP+D2U u", "10 10 S sip+d2t t", "20 1 s SIPS+D2T later"];
        assert_eq!(chosen(&lines, false, &ALL), ["t", "u"]);
    }

    #[test]
    fn what_is_no_service_of_ours_is_passed_over() {
        let lines = [
            "1 1 s SIP+D2W _sip._ws.x",
            "1 1 s SIPS+D2W _sips._ws.x",
            "1 1 s SIP+D2S _sip._sctp.x",
            "1 1 s SIPS+D2U _sips._udp.x",
            "1 1 u E2U+sip x",
            "1 1  SIP+D2U x",
            "1 1 s SIP+D2U .",
            "2 1 a SIP+D2U host.x",
        ];
        assert_eq!(chosen(&lines, false, &ALL), ["host.x"]);
        assert!(services(naptr(&lines), false, &sockets(&ALL))[0].is_host);
    }

    #[test]
    fn of_many_services_some_are_taken() {
        let lines: Vec<String> = (0..50).map(|n| format!("1 {n} s SIP+D2U s{n}")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        assert_eq!(chosen(&lines, false, &ALL).len(), SERVICES);
    }

    #[test]
    fn without_naptr_each_protocol_we_speak_is_asked_for() {
        let names = |secure, protocols: &[Protocol]| -> Vec<String> {
            guesses("e.com", secure, &sockets(protocols)).into_iter().map(|service| service.name).collect()
        };
        assert_eq!(names(false, &ALL), ["_sips._tcp.e.com", "_sip._tcp.e.com", "_sip._udp.e.com"]);
        assert_eq!(names(true, &ALL), ["_sips._tcp.e.com"]);
        assert_eq!(names(false, &[Protocol::Udp, Protocol::Ws]), ["_sip._udp.e.com"]);
        assert_eq!(names(true, &[Protocol::Udp]), [""; 0]);
    }

    /// `priority weight target`
    fn srv(lines: &[&str]) -> Vec<Srv> {
        let record = |line: &&str| {
            let words: Vec<_> = line.split(' ').collect();
            Srv {
                priority: words[0].parse().unwrap(),
                weight: words[1].parse().unwrap(),
                port: 5060,
                target: words[2].to_owned(),
            }
        };
        lines.iter().map(record).collect()
    }

    fn ordered(lines: &[&str], mut dice: impl FnMut(u32) -> u32) -> Vec<String> {
        servers(srv(lines), &mut dice).into_iter().map(|server| server.target).collect()
    }

    #[test]
    fn lower_priorities_go_first_whatever_their_weight() {
        assert_eq!(ordered(&["20 99 b", "10 0 a", "30 1 c"], |sum| sum), ["a", "b", "c"]);
    }

    #[test]
    fn chance_falls_by_weight() {
        let lines = ["1 10 a", "1 60 b", "1 30 c"];
        assert_eq!(ordered(&lines, |_| 0)[0], "a");
        assert_eq!(ordered(&lines, |_| 10)[0], "a");
        assert_eq!(ordered(&lines, |_| 11)[0], "c", "sorted by weight: 10, 30, 60");
        assert_eq!(ordered(&lines, |_| 41)[0], "b");
        assert_eq!(ordered(&lines, |sum| sum), ["b", "c", "a"]);
    }

    #[test]
    fn weight_zero_is_chosen_by_the_number_zero_alone() {
        let lines = ["1 5 heavy", "1 0 none"];
        assert_eq!(ordered(&lines, |_| 0), ["none", "heavy"]);
        assert_eq!(ordered(&lines, |_| 1), ["heavy", "none"]);
    }

    #[test]
    fn a_dot_as_target_is_no_server_and_many_are_cut() {
        assert_eq!(ordered(&["1 1 ."], |_| 0), [""; 0]);
        let lines: Vec<String> = (0..5000).map(|n| format!("1 65535 h{n}")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        assert_eq!(ordered(&lines, |sum| sum).len(), SERVERS);
    }

    fn in_order(texts: &[&str]) -> Vec<String> {
        addresses(texts.iter().map(|text| text.parse().unwrap())).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn both_families_go_by_precedence_and_equals_as_given() {
        assert_eq!(
            in_order(&["192.0.2.2", "192.0.2.1", "2002::1", "2001:db8::9", "fd00::1", "::1", "2001::5"]),
            ["::1", "2001:db8::9", "192.0.2.2", "192.0.2.1", "2002::1", "2001::5", "fd00::1"]
        );
    }

    #[test]
    fn mapped_addresses_are_ipv4_and_none_comes_twice() {
        assert_eq!(in_order(&["::ffff:192.0.2.1", "192.0.2.1"]), ["192.0.2.1"]);
        let many: Vec<String> = (0..200).map(|n| format!("192.0.2.{n}")).collect();
        assert_eq!(addresses(many.iter().map(|text| text.parse().unwrap())).len(), ADDRESSES_PER_HOST);
    }
}
