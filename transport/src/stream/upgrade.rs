//! The handshake of a WebSocket (RFC 6455 §4.2, RFC 7118 §4): read from a stream of our own, or judged for an
//! HTTP server that read it itself.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// The longest head of a handshake, and the most lines of one.
const HEAD: usize = 16 * 1024;
const LINES: usize = 100;

/// Why a handshake is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeRefused {
    /// It is plain HTTP.
    #[error("this is a WebSocket for SIP: ask for an upgrade with Sec-WebSocket-Protocol: sip")]
    NoUpgrade,
    /// Another version than 13.
    #[error("the WebSocket version must be 13")]
    Version,
    /// No key, or one that is none.
    #[error("Sec-WebSocket-Key is missing or is no key")]
    Key,
    /// RFC 7118 §4: the subprotocol is what makes it SIP.
    #[error("Sec-WebSocket-Protocol must offer sip")]
    Subprotocol,
    /// The page that asks is not among those that may.
    #[error("pages of this origin may not connect here")]
    Origin,
    /// It can't be read.
    #[error("this is no HTTP request")]
    Unreadable,
}

impl UpgradeRefused {
    /// The HTTP status that says so.
    pub const fn status(self) -> u16 {
        match self {
            Self::NoUpgrade | Self::Version => 426,
            Self::Key | Self::Subprotocol | Self::Unreadable => 400,
            Self::Origin => 403,
        }
    }
}

/// Judges a handshake by its method and header lines; `origins` are those whose pages may, all if there are none.
/// Gives the value of `Sec-WebSocket-Accept`; the 101 carries `Sec-WebSocket-Protocol: sip` besides.
///
/// # Errors
/// What is wrong with it.
pub fn judge_upgrade(
    method: &str,
    lines: &[(&str, &[u8])],
    origins: &[String],
) -> Result<String, UpgradeRefused> {
    let all = |name: &'static str| {
        let of_name = lines.iter().filter(move |(found, _)| found.eq_ignore_ascii_case(name));
        of_name.filter_map(|(_, value)| std::str::from_utf8(value).ok()).map(str::trim)
    };
    let lists = |name, token: &str| {
        all(name).flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case(token))
    };
    if method != "GET" || !lists("Upgrade", "websocket") || !lists("Connection", "upgrade") {
        return Err(UpgradeRefused::NoUpgrade);
    }
    if all("Sec-WebSocket-Version").next() != Some("13") {
        return Err(UpgradeRefused::Version);
    }
    // 16 octets in base64.
    let is_key = |key: &&str| key.len() == 24 && key.ends_with("==");
    let key = all("Sec-WebSocket-Key").next().filter(is_key).ok_or(UpgradeRefused::Key)?;
    if !lists("Sec-WebSocket-Protocol", "sip") {
        return Err(UpgradeRefused::Subprotocol);
    }
    let welcome = |origin: &str| origins.iter().any(|one| one.eq_ignore_ascii_case(origin));
    // What is no browser sends none, and could send any.
    if !origins.is_empty() && all("Origin").next().is_some_and(|origin| !welcome(origin)) {
        return Err(UpgradeRefused::Origin);
    }
    Ok(derive_accept_key(key.as_bytes()))
}

/// Reads a handshake and answers it. Gives what came behind its head.
///
/// # Errors
/// It was refused, which was answered; or the stream ended or broke.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    origins: &[String],
) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    let outcome = loop {
        if stream.read_buf(&mut octets).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match judge(&octets, origins) {
            Some(outcome) => break outcome,
            None if octets.len() > HEAD => break Err(UpgradeRefused::Unreadable),
            None => {}
        }
    };
    let answer = match &outcome {
        Ok((accept, _)) => format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
        ),
        Err(refused) => refusal(*refused),
    };
    stream.write_all(answer.as_bytes()).await?;
    stream.flush().await?;
    match outcome {
        Ok((_, read)) => Ok(octets.split_off(read)),
        Err(refused) => {
            stream.shutdown().await?;
            Err(io::Error::other(refused))
        }
    }
}

/// The verdict on a head and its length; `None` while it is not whole.
fn judge(octets: &[u8], origins: &[String]) -> Option<Result<(String, usize), UpgradeRefused>> {
    let mut lines = [httparse::EMPTY_HEADER; LINES];
    let mut request = httparse::Request::new(&mut lines);
    match request.parse(octets) {
        Ok(httparse::Status::Partial) => None,
        Ok(httparse::Status::Complete(read)) => {
            let lines: Vec<_> = request.headers.iter().map(|line| (line.name, line.value)).collect();
            Some(
                judge_upgrade(request.method.unwrap_or_default(), &lines, origins)
                    .map(|accept| (accept, read)),
            )
        }
        Err(_) => Some(Err(UpgradeRefused::Unreadable)),
    }
}

fn refusal(refused: UpgradeRefused) -> String {
    let status = refused.status();
    let (reason, more) = match status {
        426 => ("Upgrade Required", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"),
        403 => ("Forbidden", ""),
        _ => ("Bad Request", ""),
    };
    let text = format!("{refused}\n");
    format!(
        "HTTP/1.1 {status} {reason}\r\n{more}Content-Type: text/plain\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{text}",
        text.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 5] = [
        ("Upgrade", "websocket"),
        ("connection", "keep-alive, Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Protocol", "chat, sip"),
    ];

    fn judged(lines: &[(&str, &str)], origins: &[String]) -> Result<String, UpgradeRefused> {
        let lines: Vec<_> = lines.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        judge_upgrade("GET", &lines, origins)
    }

    #[test]
    fn the_handshake_of_the_rfc_is_accepted_with_its_key() {
        assert_eq!(judged(&GOOD, &[]).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn each_missing_line_has_its_own_refusal() {
        let refused = [
            UpgradeRefused::NoUpgrade,
            UpgradeRefused::NoUpgrade,
            UpgradeRefused::Version,
            UpgradeRefused::Key,
            UpgradeRefused::Subprotocol,
        ];
        for (at, expected) in refused.into_iter().enumerate() {
            let mut lines = GOOD.to_vec();
            lines.remove(at);
            assert_eq!(judged(&lines, &[]), Err(expected));
        }
    }

    #[test]
    fn a_page_of_another_origin_is_refused_where_origins_are_named() {
        let origins = ["https://phone.example.com".to_owned()];
        let with = |origin| judged(&[&GOOD[..], &[("Origin", origin)]].concat(), &origins);
        assert!(with("https://phone.example.com").is_ok() && judged(&GOOD, &origins).is_ok());
        assert_eq!(with("https://evil.example"), Err(UpgradeRefused::Origin));
    }
}
