//! Connections over real sockets to a server that says what a test has it say.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a failed step here is a failed test"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lemonade::{Connections, FetchError, Limits, Login, Server, TlsMode};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const URL: &str = "imap://joe@localhost/INBOX/;uid=1/;section=2;urlauth=anonymous:internal:1";

/// What a server does.
#[derive(Clone)]
struct Play {
    /// In its greeting, before and after TLS.
    capabilities: &'static str,
    starttls: bool,
    implicit: bool,
    /// Its answer to URLFETCH, before the tagged line.
    answer: &'static str,
    /// URLs it answers on one connection before it closes it.
    urls: usize,
}

const PLAIN: Play = Play {
    capabilities: "AUTH=PLAIN AUTH=ANONYMOUS SASL-IR",
    starttls: false,
    implicit: false,
    answer: "* URLFETCH u {4}\r\nYWJj\r\n",
    urls: usize::MAX,
};

struct Served {
    addr: SocketAddr,
    server: Server,
    connections: Arc<AtomicUsize>,
}

async fn serve(play: Play) -> Served {
    let signed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(signed.cert.der().clone()).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let key = PrivateKeyDer::Pkcs8(signed.signing_key.serialize_der().into());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let mode = match (play.implicit, play.starttls) {
        (true, _) => TlsMode::Implicit,
        (_, true) => TlsMode::StartTls,
        _ => TlsMode::Off,
    };
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let (play, acceptor) = (play.clone(), acceptor.clone());
            tokio::spawn(async move {
                if play.implicit {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    talk(stream, &play, true).await;
                } else if let Some(stream) = talk(stream, &play, true).await {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    talk(stream, &play, false).await;
                }
            });
        }
    });
    let server =
        Server { host: "localhost".to_owned(), port: addr.port(), tls: mode, trust: Arc::new(client) };
    Served { addr, server, connections }
}

/// Speaks until the end, or until TLS is to begin: then gives the stream back.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(stream: S, play: &Play, greet: bool) -> Option<S> {
    let mut stream = BufReader::new(stream);
    let starttls = if play.starttls && greet { " STARTTLS" } else { "" };
    if greet {
        let greeting = format!("* OK [CAPABILITY IMAP4rev1 {}{starttls}] hi\r\n", play.capabilities);
        stream.write_all(greeting.as_bytes()).await.ok()?;
    }
    let mut urls = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return None;
        }
        let (tag, command) = line.trim_end().split_once(' ').unwrap();
        let word = command.split(' ').next().unwrap();
        let mut said = match word {
            "CAPABILITY" => format!("* CAPABILITY IMAP4rev1 {}\r\n", play.capabilities),
            "URLFETCH" => {
                urls += 1;
                play.answer.to_owned()
            }
            _ => String::new(),
        };
        let code = if word == "AUTHENTICATE" { "[CAPABILITY URLAUTH] " } else { "" };
        said.push_str(&format!("{tag} OK {code}done\r\n"));
        stream.write_all(said.as_bytes()).await.ok()?;
        stream.flush().await.ok()?;
        if word == "STARTTLS" {
            return Some(stream.into_inner());
        }
        if urls >= play.urls {
            return None;
        }
    }
}

fn connections() -> Connections {
    Connections::new(Limits::default(), 4, 2, Duration::from_secs(60))
}

fn anonymous() -> Login {
    Login::Anonymous("annc".to_owned())
}

fn user() -> Login {
    Login::User { name: "n".to_owned(), password: "p".to_owned(), in_clear: false }
}

#[tokio::test]
async fn a_password_goes_over_starttls_and_implicit_tls() {
    for (starttls, implicit) in [(true, false), (false, true)] {
        let served = serve(Play { starttls, implicit, ..PLAIN }).await;
        let part = connections().fetch(&served.server, &[served.addr], &user(), URL).await.unwrap();
        assert_eq!(part.octets, b"YWJj");
    }
    let served = serve(PLAIN).await;
    let refused = connections().fetch(&served.server, &[served.addr], &user(), URL).await;
    assert!(matches!(refused, Err(FetchError::InClear)));
}

#[tokio::test]
async fn a_server_that_is_not_who_it_should_be_gets_no_password() {
    for (starttls, implicit) in [(true, false), (false, true)] {
        let mut served = serve(Play { starttls, implicit, ..PLAIN }).await;
        served.server.host = "mail.example.com".to_owned();
        let refused = connections().fetch(&served.server, &[served.addr], &user(), URL).await;
        assert!(matches!(refused, Err(FetchError::Tls(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_url_of_the_same_login() {
    let served = serve(PLAIN).await;
    let kept = connections();
    for _ in 0..3 {
        kept.fetch(&served.server, &[served.addr], &anonymous(), URL).await.unwrap();
    }
    assert_eq!((served.connections.load(Ordering::SeqCst), kept.kept()), (1, 1));
    let other = Login::Anonymous("other".to_owned());
    kept.fetch(&served.server, &[served.addr], &other, URL).await.unwrap();
    assert_eq!((served.connections.load(Ordering::SeqCst), kept.kept()), (2, 2));
    let third = Login::Anonymous("third".to_owned());
    kept.fetch(&served.server, &[served.addr], &third, URL).await.unwrap();
    assert_eq!(kept.kept(), 2, "no more are kept than may be");
}

#[tokio::test]
async fn a_kept_connection_that_the_server_ended_is_made_anew() {
    let served = serve(Play { urls: 1, ..PLAIN }).await;
    let kept = connections();
    for _ in 0..3 {
        kept.fetch(&served.server, &[served.addr], &anonymous(), URL).await.unwrap();
    }
    assert_eq!(served.connections.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn after_a_refusal_a_connection_is_kept_and_after_nonsense_it_is_not() {
    let served = serve(Play { answer: "* URLFETCH u NIL\r\n", ..PLAIN }).await;
    let kept = connections();
    let refused = kept.fetch(&served.server, &[served.addr], &anonymous(), URL).await;
    assert!(matches!(refused, Err(FetchError::Refused(None))));
    assert_eq!(kept.kept(), 1);
    let served = serve(Play { answer: "* URLFETCH u {2147483648}\r\n", ..PLAIN }).await;
    let kept = connections();
    let refused = kept.fetch(&served.server, &[served.addr], &anonymous(), URL).await;
    assert!(matches!(refused, Err(FetchError::Reply(_))));
    assert_eq!(kept.kept(), 0);
}

#[tokio::test]
async fn what_has_nothing_to_do_for_long_is_closed() {
    let served = serve(PLAIN).await;
    let kept = Connections::new(Limits::default(), 4, 2, Duration::from_secs(60));
    kept.fetch(&served.server, &[served.addr], &anonymous(), URL).await.unwrap();
    kept.sweep().await;
    assert_eq!(kept.kept(), 1);
    let none = Connections::new(Limits::default(), 4, 2, Duration::ZERO);
    none.fetch(&served.server, &[served.addr], &anonymous(), URL).await.unwrap();
    none.sweep().await;
    assert_eq!(none.kept(), 0);
}

#[tokio::test]
async fn nobody_there_is_told() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let served = serve(PLAIN).await;
    let refused = connections().fetch(&served.server, &[addr], &anonymous(), URL).await;
    assert!(matches!(refused, Err(FetchError::Connect(_))));
}
