//! Why a fetch came to nothing, by who is to blame. No variant holds a token or a password.

use crate::reply::ReplyError;
use crate::word::WordError;

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There is no connection to the server.
    #[error("no connection to the IMAP server: {0}")]
    Connect(std::io::Error),
    /// The TLS handshake failed.
    #[error("no TLS with the IMAP server: {0}")]
    Tls(std::io::Error),
    /// The connection broke.
    #[error("the connection to the IMAP server broke: {0}")]
    Io(std::io::Error),
    /// The server closed the connection, or said that it will.
    #[error("the IMAP server closed the connection")]
    Closed,
    /// TLS is asked for, and the server has none.
    #[error("the IMAP server offers no STARTTLS")]
    NoTls,
    /// Something came in clear behind the answer to STARTTLS (CVE-2011-0411).
    #[error("something was put in clear before TLS")]
    Injected,
    /// A password may not go over a connection in clear.
    #[error("a password is not sent in clear")]
    InClear,
    /// The server does not let us in.
    #[error("the IMAP server refuses the login")]
    Login,
    /// A name or password holds what no command may.
    #[error("the name or password holds octets that can't be sent")]
    Credentials,
    /// The server knows no URLFETCH.
    #[error("the IMAP server has no URLAUTH")]
    NoUrlAuth,
    /// The server refuses the URL: it expired, its token is wrong, the part is not there, it is not for us.
    #[error("the IMAP server refuses the URL{}", reason(.0.as_deref()))]
    Refused(Option<String>),
    /// The part is empty. Real servers say so of a part that is not there.
    #[error("the part is empty or not there")]
    Empty,
    /// The server can't do it now.
    #[error("the IMAP server could not fetch the part")]
    Failed,
    /// A reply passes a limit.
    #[error(transparent)]
    Reply(#[from] ReplyError),
    /// A reply can't be read.
    #[error(transparent)]
    Words(#[from] WordError),
    /// A reply makes no sense where it came.
    #[error("the IMAP server's reply was not expected")]
    Unexpected,
}

impl FetchError {
    /// Whether it is the URL that is no good: nothing else would have helped.
    pub const fn is_refusal(&self) -> bool {
        matches!(self, FetchError::Refused(_) | FetchError::Empty)
    }

    /// Whether the same request over a fresh connection may do better.
    pub(crate) const fn is_stale(&self) -> bool {
        matches!(self, FetchError::Io(_) | FetchError::Closed)
    }
}

fn reason(text: Option<&str>) -> String {
    text.map_or_else(String::new, |text| format!(": {text}"))
}
