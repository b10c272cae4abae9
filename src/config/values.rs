//! What may stand behind a key: durations, sizes, addresses, lists, choices. Each reads itself from TOML
//! with an error that says what to write instead.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, IntoDeserializer, SeqAccess, Visitor};

use super::section::Value;

/// A length of time: `250ms`, `30s`, `15m`, `12h`, `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(crate) struct Period(pub(crate) Duration);

const TIME_UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

impl Period {
    pub(crate) const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    pub(crate) const fn days(days: u64) -> Self {
        Self(Duration::from_secs(days * 86_400))
    }
}

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is no duration: write a whole number and ms, s, m, h or d, as in \"30s\"");
        let (number, unit) = number_and_unit(text).ok_or_else(wrong)?;
        let (_, factor) = TIME_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let millis = number.checked_mul(*factor).ok_or_else(|| format!("`{text}` is too long a duration"))?;
        Ok(Self(Duration::from_millis(millis)))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let (unit, factor) = largest_unit(&TIME_UNITS, millis);
        write!(out, "{}{unit}", millis / factor)
    }
}

/// A number of octets: `64KiB`, `8MiB`, `1GiB`, or a plain number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size(pub(crate) u64);

const SIZE_UNITS: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

impl Size {
    /// The size as a length in memory.
    pub(crate) fn octets(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is no size: write a whole number and KiB, MiB or GiB, as in \"64KiB\"");
        let (number, unit) = number_and_unit(text).ok_or_else(wrong)?;
        let (_, factor) = SIZE_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        number.checked_mul(*factor).map(Self).ok_or_else(|| format!("`{text}` is too large a size"))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, factor) = largest_unit(&SIZE_UNITS, self.0);
        write!(out, "{}{unit}", self.0 / factor)
    }
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit.trim_start()))
}

fn largest_unit(units: &[(&'static str, u64)], amount: u64) -> (&'static str, u64) {
    let fits = |(_, factor): &&(&'static str, u64)| amount != 0 && amount.is_multiple_of(*factor);
    units.iter().rfind(fits).or(units.first()).copied().unwrap_or(("", 1))
}

/// One entry of `sip.listen`: `udp:0.0.0.0:5060`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listen {
    pub(crate) transport: Transport,
    pub(crate) address: SocketAddr,
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (transport, address) = text.split_once(':').unwrap_or((text, ""));
        let transport = Transport::ALL.into_iter().find(|known| known.name() == transport).ok_or_else(|| {
            format!("`{text}` begins with no transport: write udp:, tcp:, tls:, ws: or wss:, as in \"udp:127.0.0.1:5060\"")
        })?;
        let address = address.parse().map_err(|_| {
            format!(
                "`{address}` is no address with a port: write one as in \"127.0.0.1:5060\" or \"[::1]:5060\""
            )
        })?;
        Ok(Self { transport, address })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.transport.name(), self.address)
    }
}

/// What carries SIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
    Tls,
    Ws,
    Wss,
}

impl Transport {
    const ALL: [Self; 5] = [Self::Udp, Self::Tcp, Self::Tls, Self::Ws, Self::Wss];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }
}

/// A block of addresses: `192.0.2.0/24`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cidr {
    pub(crate) address: IpAddr,
    pub(crate) prefix: u8,
}

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no block of addresses: write one as in \"192.0.2.0/24\"");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(bits);
        if prefix > bits {
            return Err(format!("`/{prefix}` is too long for `{address}`: at most /{bits}"));
        }
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.address, self.prefix)
    }
}

/// A domain this server answers for; as a table it may carry switches of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Domain {
    pub(crate) name: String,
    pub(crate) adapt: Option<bool>,
}

impl FromStr for Domain {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let allowed =
            |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b':' | b'[' | b']' | b'_');
        if name.is_empty() || !name.bytes().all(allowed) {
            return Err(format!("`{name}` is no domain name: write one as in \"example.com\""));
        }
        Ok(Self { name: name.to_ascii_lowercase(), adapt: None })
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.name)
    }
}

impl<'de> Deserialize<'de> for Domain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrTable;

        impl<'de> Visitor<'de> for NameOrTable {
            type Value = Domain;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a domain name, or a table with `name` and `adapt`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Domain, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Domain, A::Error> {
                #[derive(serde::Deserialize)]
                #[serde(deny_unknown_fields)]
                struct Table {
                    name: String,
                    adapt: Option<bool>,
                }
                let table = Table::deserialize(de::value::MapAccessDeserializer::new(map))?;
                let domain: Domain = table.name.parse().map_err(de::Error::custom)?;
                Ok(Domain { adapt: table.adapt, ..domain })
            }
        }

        deserializer.deserialize_any(NameOrTable)
    }
}

/// A list; one value may stand without its brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct List<T>(pub(crate) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> std::ops::Deref for List<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMany<T> {
            type Value = List<T>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a list")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<List<T>, E> {
                T::deserialize(text.into_deserializer()).map(|one| List(vec![one]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List<T>, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = seq.next_element()? {
                    all.push(one);
                }
                Ok(List(all))
            }
        }

        deserializer.deserialize_any(OneOrMany(std::marker::PhantomData))
    }
}

impl<T: fmt::Display> Value for List<T> {
    fn kind() -> String {
        "a list".to_owned()
    }

    fn show(&self) -> String {
        let all: Vec<String> = self.iter().map(|one| quote(&one.to_string())).collect();
        format!("[{}]", all.join(", "))
    }
}

impl<V: Value> Value for Option<V> {
    fn kind() -> String {
        V::kind()
    }

    fn show(&self) -> String {
        self.as_ref().map(V::show).unwrap_or_default()
    }
}

/// `text` as a TOML basic string.
pub(super) fn quote(text: &str) -> String {
    let escaped: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("\"{}\"", escaped.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Values that are written as strings and read by their `FromStr`.
macro_rules! written_as_string {
    ($($kind:ty: $about:literal),* $(,)?) => {$(
        impl Value for $kind {
            fn kind() -> String {
                $about.to_owned()
            }

            fn show(&self) -> String {
                quote(&self.to_string())
            }
        }
    )*};
}

/// The same, with a `Deserialize` of ours. It parses inside the visitor, where errors get their place.
macro_rules! read_from_string {
    ($($kind:ty: $about:literal),* $(,)?) => {$(
        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;

                impl Visitor<'_> for Text {
                    type Value = $kind;

                    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                        out.write_str($about)
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$kind, E> {
                        text.parse().map_err(E::custom)
                    }
                }

                deserializer.deserialize_any(Text)
            }
        }
    )*};
}

written_as_string! {
    Period: "a duration", Listen: "a socket", Cidr: "a block of addresses",
    String: "a text", SocketAddr: "an address with a port",
}
read_from_string! {
    Period: "a duration such as \"30s\"", Listen: "a socket such as \"udp:127.0.0.1:5060\"",
    Cidr: "a block of addresses such as \"192.0.2.0/24\"",
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrNumber;

        impl Visitor<'_> for TextOrNumber {
            type Value = Size;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a size such as \"64KiB\" or a number of octets")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Size, E> {
                u64::try_from(number).map(Size).map_err(|_| E::custom("a size can't be negative"))
            }
        }

        deserializer.deserialize_any(TextOrNumber)
    }
}

impl Value for Size {
    fn kind() -> String {
        "a size".to_owned()
    }

    fn show(&self) -> String {
        quote(&self.to_string())
    }
}

impl Value for PathBuf {
    fn kind() -> String {
        "a path".to_owned()
    }

    fn show(&self) -> String {
        quote(&self.to_string_lossy())
    }
}

impl Value for bool {
    fn kind() -> String {
        "true | false".to_owned()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for u32 {
    fn kind() -> String {
        "a number".to_owned()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_shown_as_they_are_written() {
        for text in ["250ms", "30s", "15m", "12h", "7d", "90s"] {
            assert_eq!(text.parse::<Period>().unwrap().to_string(), text);
        }
        for text in ["64KiB", "8MiB", "1GiB", "1000B"] {
            assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_number_with_no_unit_or_beyond_64_bits_is_refused() {
        for text in ["30", "s", "", "-1s", "1.5s", "99999999999999999999s", "999999999999999999d"] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
        for text in ["64", "KiB", "64kb", "99999999999GiB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_socket_has_a_transport_and_an_address_with_a_port() {
        let listen: Listen = "udp:[::1]:5060".parse().unwrap();
        assert_eq!((listen.transport, listen.address.port()), (Transport::Udp, 5060));
        for text in ["127.0.0.1:5060", "sctp:127.0.0.1:5060", "udp:127.0.0.1", "udp"] {
            assert!(text.parse::<Listen>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_block_is_no_longer_than_its_address() {
        assert_eq!("192.0.2.0/24".parse::<Cidr>().unwrap().prefix, 24);
        assert_eq!("::1".parse::<Cidr>().unwrap().prefix, 128);
        assert!("192.0.2.0/33".parse::<Cidr>().is_err());
    }
}
