//! Headers. rsip's untyped headers are the value as text; those it does not name keep their name.

use std::borrow::Cow;

use rsip::headers::UntypedHeader;

use super::{VocabularyError, text};
use crate::header::{Header, HeaderId};

macro_rules! shared {
    ($($id:ident)*) => {
        impl TryFrom<Header<'_>> for rsip::Header {
            type Error = VocabularyError;

            /// The value unfolded; a compact name becomes the long one.
            fn try_from(header: Header<'_>) -> Result<Self, VocabularyError> {
                let value = text(&grammar::unfold(header.value))?;
                Ok(match header.id {
                    $(HeaderId::$id => rsip::headers::$id::new(value).into(),)*
                    HeaderId::Other => rsip::Header::Other(text(header.name)?, value),
                    known => rsip::Header::Other(known.name().to_owned(), value),
                })
            }
        }

        /// Name and value.
        pub(super) fn parts(header: &rsip::Header) -> (Cow<'_, str>, &str) {
            match header {
                $(rsip::Header::$id(header) => (HeaderId::$id.name().into(), header.value()),)*
                rsip::Header::Other(name, value) => (name.into(), value),
            }
        }
    };
}

shared! {
    Accept AcceptEncoding AcceptLanguage AlertInfo Allow AuthenticationInfo Authorization CSeq CallId CallInfo
    Contact ContentDisposition ContentEncoding ContentLanguage ContentLength ContentType Date ErrorInfo Event
    Expires From InReplyTo MaxForwards MimeVersion MinExpires Organization Priority ProxyAuthenticate
    ProxyAuthorization ProxyRequire RecordRoute ReplyTo Require RetryAfter Route Server Subject
    SubscriptionState Supported Timestamp To Unsupported UserAgent Via Warning WwwAuthenticate
}
