//! The SIP identities in a certificate, and how they are compared (RFC 5922 §7.1, §7.2).

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::Validity;

/// Identities read from one certificate, at most.
const MOST: usize = 256;

/// The domains a certificate speaks for, in lower case: its SIP URIs without a user; only if it has none its DNS
/// names; only if it has no subjectAltName at all its common name (§7.1).
pub(super) fn of(certificate: &[u8]) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let Ok(names) = certificate.subject_alternative_name() else { return Vec::new() };
    let Some(names) = names else {
        let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        return common.filter(|name| is_domain(name)).map(str::to_ascii_lowercase).take(1).collect();
    };
    let names = &names.value.general_names;
    let uris = names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => domain_of(uri),
        _ => None,
    });
    let uris: Vec<String> = uris.take(MOST).collect();
    if !uris.is_empty() {
        return uris;
    }
    let dns = names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    dns.take(MOST).collect()
}

/// Whether a certificate speaks for a domain: compared whole, in any case, and no wildcard means anything
/// (§7.2).
pub(super) fn is_for_domain(certificate: &[u8], domain: &str) -> bool {
    let domain = domain.trim_end_matches('.');
    of(certificate).iter().any(|identity| identity.eq_ignore_ascii_case(domain))
}

/// Whether a certificate names an address. RFC 5922 knows domains only; this is for a next hop that the operator
/// wrote as an address.
pub(super) fn is_for_address(certificate: &[u8], address: IpAddr) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return false };
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return false };
    let octets = match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    names.value.general_names.iter().any(|name| match name {
        GeneralName::IPAddress(found) => *found == octets,
        _ => false,
    })
}

/// When it is good.
pub(super) fn validity(certificate: &[u8]) -> Option<Validity> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let time = |seconds: i64| {
        let since = Duration::from_secs(seconds.unsigned_abs());
        let epoch = SystemTime::UNIX_EPOCH;
        if seconds < 0 { epoch.checked_sub(since) } else { epoch.checked_add(since) }
    };
    let validity = certificate.validity();
    Some(Validity {
        from: time(validity.not_before.timestamp())?,
        until: time(validity.not_after.timestamp())?,
    })
}

/// The host of a `sip` URI without a user; `sips` is none (§7.1).
fn domain_of(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("sip") || rest.contains('@') {
        return None;
    }
    let parsed = sip::Uri::parse(uri.as_bytes()).ok()?;
    Some(parsed.host()?.to_string().to_ascii_lowercase())
}

fn is_domain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn certificate(names: &[SanType], common: &str) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.to_vec();
        params.distinguished_name.push(DnType::CommonName, common);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    fn dns(name: &str) -> SanType {
        SanType::DnsName(name.try_into().unwrap())
    }

    fn uri(uri: &str) -> SanType {
        SanType::URI(uri.try_into().unwrap())
    }

    #[test]
    fn a_sip_uri_without_a_user_is_an_identity_and_then_dns_names_are_none() {
        let both = certificate(&[uri("SIP:Example.com"), dns("host.example.com")], "cn.example.com");
        assert_eq!(of(&both), ["example.com"]);
        let none = [uri("sip:alice@example.com"), uri("sips:example.com"), uri("https://example.com")];
        let others = certificate(&[&none[..], &[dns("Host.example.com")]].concat(), "cn.example.com");
        assert_eq!(of(&others), ["host.example.com"]);
    }

    #[test]
    fn the_common_name_counts_only_without_any_other_name() {
        assert_eq!(of(&certificate(&[], "cn.example.com")), ["cn.example.com"]);
        assert_eq!(of(&certificate(&[uri("https://a.example")], "cn.example.com")), [""; 0]);
        assert_eq!(of(&certificate(&[], "Some Company")), [""; 0]);
    }

    #[test]
    fn domains_are_compared_whole_and_wildcards_mean_nothing() {
        let wild = certificate(&[dns("*.example.com"), dns("example.org")], "");
        assert!(is_for_domain(&wild, "EXAMPLE.org") && is_for_domain(&wild, "example.org."));
        for other in ["a.example.com", "example.com", "a.example.org", "ample.org"] {
            assert!(!is_for_domain(&wild, other), "{other}");
        }
    }

    #[test]
    fn an_address_is_named_by_an_address_alone() {
        let by_address = certificate(&[SanType::IpAddress([192, 0, 2, 7].into())], "");
        assert!(is_for_address(&by_address, [192, 0, 2, 7].into()));
        assert!(!is_for_address(&by_address, [192, 0, 2, 8].into()));
        assert!(!is_for_address(&certificate(&[dns("192.0.2.7")], ""), [192, 0, 2, 7].into()));
    }

    #[test]
    fn what_is_no_certificate_has_no_identity() {
        assert_eq!(of(b"nonsense"), [""; 0]);
        assert!(validity(b"").is_none());
    }
}
