//! URIs and addresses: parts, comparison (RFC 3261 §19.1.4, CPI.md 6.2), canonical AOR.

use sip::{AddressError, Host, NameAddr, Scheme, Uri, UriError};

fn uri(text: &str) -> Uri {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn a_sip_uri_is_read_in_its_parts() {
    let uri = uri("SIPS:al;ice%40x:se:cret@[2001:db8::1]:5061;transport=tcp;lr;maddr=h?Subject=a%20b&x=y");
    assert_eq!(
        (uri.scheme(), uri.user(), uri.password()),
        (Scheme::Sips, Some(&b"al;ice%40x"[..]), Some(&b"se:cret"[..]))
    );
    assert_eq!(uri.host(), Some(Host::V6("2001:db8::1".parse().unwrap())));
    assert_eq!(
        (uri.port(), uri.param(b"TRANSPORT"), uri.param(b"lr")),
        (Some(5061), Some(&b"tcp"[..]), Some(&b""[..]))
    );
    assert_eq!(uri.headers(), Some(&b"Subject=a%20b&x=y"[..]));
}

#[test]
fn dotted_users_are_users() {
    let uri = uri("sip:john.q.public@example.com");
    assert_eq!((uri.user(), uri.host()), (Some(&b"john.q.public"[..]), Some(Host::Name(b"example.com"))));
    assert_eq!(self::uri("sip:example.com").user(), None);
}

#[test]
fn unknown_schemes_and_tel_are_kept() {
    for text in [
        "tel:+1-201-555-0123;phone-context=x",
        "urn:service:sos",
        "http://www.example.com/a?b@c",
        "isbn:2983792873",
    ] {
        assert_eq!(uri(text).to_string(), text);
        assert_eq!(uri(text).host(), None);
    }
    assert_eq!(uri("tel:+1-201;ext=2").user(), Some(&b"+1-201"[..]));
}

#[test]
fn what_is_no_uri_is_refused_by_its_part() {
    for (text, error) in [
        ("example.com", UriError::Scheme),
        ("<sip:a@b>", UriError::Scheme),
        (":a", UriError::Scheme),
        ("sip:", UriError::Empty),
        ("sip:@h", UriError::User),
        ("sip::pw@h", UriError::User),
        ("sip:a@b@c", UriError::User),
        ("sip:a@", UriError::Host),
        ("sip:a@h/path", UriError::Host),
        ("sip:a@[::1", UriError::Host),
        ("sip:a@h:", UriError::Port),
        ("sip:a@h:65536", UriError::Port),
        ("sip:a b@h", UriError::Octet),
        ("sip:a\"@h", UriError::Octet),
    ] {
        assert_eq!(text.parse::<Uri>(), Err(error), "{text}");
    }
}

/// The examples of RFC 3261 §19.1.4.
#[test]
fn the_rfc_examples_compare_as_the_rfc_says() {
    for (a, b) in [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtlanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
    ] {
        assert!(uri(a).equivalent(&uri(b)) && uri(b).equivalent(&uri(a)), "{a} {b}");
    }
    for (a, b) in [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
    ] {
        assert!(!uri(a).equivalent(&uri(b)) && !uri(b).equivalent(&uri(a)), "{a} {b}");
    }
}

#[test]
fn comparison_is_not_transitive() {
    let (on, off, none) = (uri("sip:c@h;security=on"), uri("sip:c@h;security=off"), uri("sip:c@h"));
    assert!(on.equivalent(&none) && none.equivalent(&off) && !on.equivalent(&off));
}

#[test]
fn an_escaped_reserved_octet_is_not_the_octet() {
    assert!(!uri("sip:a%3Bb@h").equivalent(&uri("sip:a;b@h")));
    assert!(uri("sip:a%3bb@h").equivalent(&uri("sip:a%3Bb@h")));
    assert!(!uri("sip:%00@h").equivalent(&uri("sip:%00%00@h")));
    assert!(uri("sip:u@h;n%61me=v%61lue").equivalent(&uri("sip:u@h;name=VALUE")));
}

#[test]
fn user_ttl_method_maddr_and_transport_count_in_one_alone() {
    for param in ["user=phone", "ttl=1", "method=INVITE", "maddr=192.0.2.1", "transport=udp"] {
        assert!(!uri("sip:a@h").equivalent(&uri(&format!("sip:a@h;{param}"))), "{param}");
    }
    assert!(uri("sip:a@h").equivalent(&uri("sip:a@h;lr;ob")));
}

#[test]
fn schemes_users_ipv6_and_tel_compare_by_their_own_rules() {
    assert!(!uri("sip:a@h").equivalent(&uri("sips:a@h")));
    assert!(!uri("sip:A@h").equivalent(&uri("sip:a@h")));
    assert!(!uri("sip:a@h").equivalent(&uri("sip:h")));
    assert!(uri("sip:a@[2001:db8:0::1]").equivalent(&uri("sip:a@[2001:DB8::1]")));
    assert!(uri("tel:+1-(201)555.0123").equivalent(&uri("TEL:+12015550123")));
    assert!(!uri("tel:123;phone-context=a.com").equivalent(&uri("tel:123")));
    assert!(uri("URN:a:b").equivalent(&uri("urn:a:b")) && !uri("urn:a:b").equivalent(&uri("urn:a:B")));
}

#[test]
fn a_repeated_parameter_counts_as_it_stands_first() {
    let twice = uri("sip:a@h;transport=udp;transport=tcp");
    assert!(twice.equivalent(&twice) && twice.equivalent(&uri("sip:a@h;transport=udp")));
}

#[test]
fn uris_with_very_many_parameters_or_headers_are_compared_by_their_octets() {
    for (many, separator) in [("sip:a@h", ';'), ("sip:a@h?x=1", '&')] {
        let with = |count: usize| {
            let all: Vec<String> = (0..count).map(|at| format!("p{at}=1")).collect();
            uri(&format!("{many}{separator}{}", all.join(&separator.to_string())))
        };
        assert!(with(60).equivalent(&uri(&with(60).to_string().replace("=1", "=%31"))));
        assert!(with(70).equivalent(&with(70)));
        assert!(!with(70).equivalent(&uri(&with(70).to_string().replace("p69=1", "p69=%31"))));
    }
}

#[test]
fn an_aor_has_one_spelling_and_no_two_users_share_it() {
    for (text, aor) in [
        ("SIP:%75se%72:pw@Example.COM:5070;user=phone?x=y", "sip:user@example.com:5070"),
        ("sip:a%2541@h", "sip:a%2541@h"),
        ("sip:sips%3auser%40example.com@example.net", "sip:sips%3Auser%40example.com@example.net"),
        ("sip:null-%00-null@h", "sip:null-%00-null@h"),
        ("sip:j%C3%BCrgen@h", "sip:j%C3%BCrgen@h"),
        ("sip:jürgen@h", "sip:j%C3%BCrgen@h"),
        ("sip:EXAMPLE.com", "sip:example.com"),
        ("tel:+1-201-555-0123;x=y", "tel:+12015550123"),
        ("sip:a@[2001:DB8:0::1]", "sip:a@[2001:db8::1]"),
    ] {
        assert_eq!(uri(text).aor(), aor, "{text}");
        assert_eq!(uri(&uri(text).aor()).aor(), aor, "an AOR is its own AOR");
    }
}

#[test]
fn addresses_are_read_with_their_display_names_and_parameters() {
    let address = NameAddr::parse(br#" "A \"B\", <C>" <sip:a@h;x=1?s=t> ; q = 0.5 ;tag=t"#).unwrap();
    assert_eq!(address.display_name().as_deref(), Some(&br#"A "B", <C>"#[..]));
    assert_eq!(address.uri_octets(), b"sip:a@h;x=1?s=t");
    assert_eq!((address.param(b"Q"), address.tag()), (Some(&b"0.5"[..]), Some(&b"t"[..])));
    let bare = NameAddr::parse(b"sip:a@h;tag=1").unwrap();
    assert_eq!(
        (bare.uri_octets(), bare.tag(), bare.display_name()),
        (&b"sip:a@h"[..], Some(&b"1"[..]), None)
    );
    let unquoted = NameAddr::parse(b"Dr.  Who\r\n <sip:w@h>").unwrap();
    assert_eq!(unquoted.display_name().as_deref(), Some(&b"Dr.  Who"[..]));
    assert_eq!(NameAddr::parse(b"<sip:w@h>;tag=").unwrap().tag(), None);
}

#[test]
fn addresses_that_would_have_to_be_guessed_are_refused() {
    for (text, error) in [
        (&b"\"Mr. J. User <sip:j.user@example.com>"[..], AddressError::Unclosed),
        (b"<sip:a@h", AddressError::Unclosed),
        (b"Bell, Alexander <sip:a@h>", AddressError::Display),
        (b"\"A\" sip:a@h", AddressError::Display),
        (b"A \"B\" <sip:a@h>", AddressError::Display),
        (b"< sip:a@h >", AddressError::Blank),
        (b"sip:a@h?Route=x", AddressError::NeedsBrackets),
        (b"<sip:a@h> x", AddressError::Trailing),
        (b"<sip:a@h>,<sip:b@h>", AddressError::Trailing),
        (b"", AddressError::Uri(UriError::Scheme)),
        (b"<>", AddressError::Uri(UriError::Scheme)),
    ] {
        assert_eq!(NameAddr::parse(text), Err(error), "{}", text.escape_ascii());
    }
}

#[test]
fn a_uri_in_a_log_names_no_user() {
    assert_eq!(format!("{:?}", uri("sip:alice@example.com;x=1")), "sip:..@example.com");
    assert_eq!(format!("{:?}", uri("tel:+1201")), "tel:..@..");
}

#[test]
fn a_sips_uri_corresponds_to_the_sip_uri_that_is_the_same_but_for_the_scheme() {
    let plain = uri("SIPS:john:pw@Example.com:5061;transport=tcp?Subject=x").as_sip();
    assert_eq!(plain.to_string(), "sip:john:pw@Example.com:5061;transport=tcp?Subject=x");
    assert!(!plain.is_sips() && uri("sips:h").is_sips());
    for other in ["sip:john@h", "tel:+1"] {
        assert_eq!(uri(other).as_sip(), uri(other));
    }
}
