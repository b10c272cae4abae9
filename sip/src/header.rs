//! Header names: which one a line is, whatever its case and whether it is written short (RFC 3261 §7.3.3).

mod names;

pub(crate) use names::at_line_start;

/// A header line as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Which header it is.
    pub id: HeaderId,
    /// The name as written.
    pub name: &'a [u8],
    /// The value without outer white space; folds are still in it (see `grammar::unfold`).
    pub value: &'a [u8],
    /// The whole line with folds and line end.
    pub raw: &'a [u8],
}

impl Header<'_> {
    /// Whether this is the header `name`, compared without case and across compact forms.
    pub fn is<'n>(&self, name: impl Into<Name<'n>>) -> bool {
        name.into().matches(self.id, self.name)
    }
}

/// A header named by id or by its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name<'a> {
    /// One of the headers this crate knows.
    Id(HeaderId),
    /// Any other; must be a token.
    Text(&'a [u8]),
}

impl<'a> Name<'a> {
    /// The id, [`HeaderId::Other`] if the text is no known name.
    pub fn id(&self) -> HeaderId {
        match *self {
            Name::Id(id) => id,
            Name::Text(text) => HeaderId::of(text),
        }
    }

    /// The name to write.
    pub const fn octets(&self) -> &'a [u8] {
        match *self {
            Name::Id(id) => id.name().as_bytes(),
            Name::Text(text) => text,
        }
    }

    pub(crate) fn matches(&self, id: HeaderId, name: &[u8]) -> bool {
        match self.id() {
            HeaderId::Other => id == HeaderId::Other && name.eq_ignore_ascii_case(self.octets()),
            known => known == id,
        }
    }
}

impl From<HeaderId> for Name<'_> {
    fn from(id: HeaderId) -> Self {
        Name::Id(id)
    }
}

impl<'a> From<&'a str> for Name<'a> {
    fn from(text: &'a str) -> Self {
        Name::Text(text.as_bytes())
    }
}

impl<'a> From<&'a [u8]> for Name<'a> {
    fn from(text: &'a [u8]) -> Self {
        Name::Text(text)
    }
}

macro_rules! headers {
    ($($id:ident $name:literal $($short:literal)?,)*) => {
        /// The headers this crate tells apart; a compact name has the id of its long form.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum HeaderId {
            $(#[doc = concat!("`", $name, "`")] $id,)*
            /// Any other header: compare its name.
            Other,
        }

        const KNOWN: &[(HeaderId, &str)] = &[$((HeaderId::$id, $name),)*];

        const COMPACT: &[(HeaderId, &str)] = &[$($((HeaderId::$id, $short),)?)*];

        impl HeaderId {
            /// The name as RFCs write it; empty for [`HeaderId::Other`].
            pub const fn name(self) -> &'static str {
                match self {
                    $(HeaderId::$id => $name,)*
                    HeaderId::Other => "",
                }
            }
        }
    };
}

headers! {
    Via "Via" "v",
    From "From" "f",
    To "To" "t",
    CallId "Call-ID" "i",
    CSeq "CSeq",
    MaxForwards "Max-Forwards",
    Contact "Contact" "m",
    Route "Route",
    RecordRoute "Record-Route",
    ContentLength "Content-Length" "l",
    ContentType "Content-Type" "c",
    ContentEncoding "Content-Encoding" "e",
    ContentDisposition "Content-Disposition",
    ContentLanguage "Content-Language",
    ContentId "Content-ID",
    ContentTransferEncoding "Content-Transfer-Encoding",
    ContentDescription "Content-Description",
    ContentAdapted "Content-Adapted",
    MimeVersion "MIME-Version",
    CacheControl "Cache-Control",
    Expires "Expires",
    MinExpires "Min-Expires",
    Accept "Accept",
    AcceptEncoding "Accept-Encoding",
    AcceptLanguage "Accept-Language",
    AcceptCharset "Accept-Charset",
    AcceptContact "Accept-Contact" "a",
    MaxSize "Max-Size",
    RejectContact "Reject-Contact" "j",
    RequestDisposition "Request-Disposition" "d",
    Allow "Allow",
    AllowEvents "Allow-Events" "u",
    Supported "Supported" "k",
    Require "Require",
    ProxyRequire "Proxy-Require",
    Unsupported "Unsupported",
    Path "Path",
    ServiceRoute "Service-Route",
    Event "Event" "o",
    SubscriptionState "Subscription-State",
    SipEtag "SIP-ETag",
    SipIfMatch "SIP-If-Match",
    Authorization "Authorization",
    WwwAuthenticate "WWW-Authenticate",
    ProxyAuthorization "Proxy-Authorization",
    ProxyAuthenticate "Proxy-Authenticate",
    AuthenticationInfo "Authentication-Info",
    Identity "Identity" "y",
    Date "Date",
    Timestamp "Timestamp",
    Subject "Subject" "s",
    UserAgent "User-Agent",
    Server "Server",
    Warning "Warning",
    RetryAfter "Retry-After",
    MaxBreadth "Max-Breadth",
    FlowTimer "Flow-Timer",
    ReferTo "Refer-To" "r",
    ReferredBy "Referred-By" "b",
    ReplyTo "Reply-To",
    InReplyTo "In-Reply-To",
    SessionExpires "Session-Expires" "x",
    PAssertedIdentity "P-Asserted-Identity",
    PPreferredIdentity "P-Preferred-Identity",
    Privacy "Privacy",
    Organization "Organization",
    Priority "Priority",
    Reason "Reason",
    HistoryInfo "History-Info",
    ErrorInfo "Error-Info",
    CallInfo "Call-Info",
    AlertInfo "Alert-Info",
}

impl HeaderId {
    /// Which header `name` is; case does not count.
    pub fn of(name: &[u8]) -> Self {
        names::id_of(name)
    }
}

impl std::fmt::Display for HeaderId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_found_in_any_case() {
        for &(id, name) in KNOWN {
            assert_eq!(HeaderId::of(name.as_bytes()), id);
            assert_eq!(HeaderId::of(name.to_ascii_uppercase().as_bytes()), id);
            assert_eq!(HeaderId::of(name.to_ascii_lowercase().as_bytes()), id);
        }
    }

    #[test]
    fn compact_names_are_the_same_header() {
        for (short, id) in [
            (b'v', HeaderId::Via),
            (b'F', HeaderId::From),
            (b'L', HeaderId::ContentLength),
            (b'o', HeaderId::Event),
            (b'u', HeaderId::AllowEvents),
        ] {
            assert_eq!(HeaderId::of(&[short]), id);
        }
        assert_eq!(HeaderId::of(b"z"), HeaderId::Other);
    }

    #[test]
    fn escapes_in_a_name_are_letters_of_another_name() {
        assert_eq!(HeaderId::of(b"C%6Fntact"), HeaderId::Other);
        assert_eq!(HeaderId::of(b""), HeaderId::Other);
    }

    #[test]
    fn octets_that_differ_from_a_letter_by_its_case_bit_only_are_other_names() {
        for name in [
            &b"max\rforwards"[..],
            b"v:",
            b"Via ",
            b"Via\0",
            b"cseq:",
            b"content-length\0\0",
            b"Accept-Encodings",
        ] {
            assert_eq!(HeaderId::of(name), HeaderId::Other, "{}", name.escape_ascii());
        }
    }
}
