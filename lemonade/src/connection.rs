//! A session over TCP, in clear or with TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::fault::FetchError;
use crate::fetched::{Fetched, Part};
use crate::reply::Limits;
use crate::session::{Login, Session, Step, Want};

/// Octets taken from the socket at once.
const CHUNK: usize = 16 << 10;

/// How a connection to a server is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsMode {
    /// Not at all.
    Off,
    /// With STARTTLS if the server offers it.
    IfOffered,
    /// With STARTTLS, or not used.
    StartTls,
    /// From the first octet (port 993).
    Implicit,
}

/// A server.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its name, which its certificate must be for.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How connections are secured.
    pub tls: TlsMode,
    /// Whom to trust.
    pub trust: Arc<rustls::ClientConfig>,
}

trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}

/// A session that is logged in.
pub struct Connection {
    session: Session,
    stream: Box<dyn Duplex>,
    chunk: Vec<u8>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("session", &self.session).finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects to the first of `addresses` that takes a connection, and logs in. Dropped before its end it leaves
    /// nothing behind.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn open(
        server: &Server,
        addresses: &[SocketAddr],
        login: Login,
        limits: Limits,
    ) -> Result<Connection, FetchError> {
        let tcp = TcpStream::connect(addresses).await.map_err(FetchError::Connect)?;
        // It is a wish: what does not grant it is slower.
        let _slower = tcp.set_nodelay(true);
        let (want, implicit) = match server.tls {
            TlsMode::Off => (Want::Nothing, false),
            TlsMode::IfOffered => (Want::IfOffered, false),
            TlsMode::StartTls => (Want::Always, false),
            TlsMode::Implicit => (Want::Nothing, true),
        };
        let stream: Box<dyn Duplex> = match implicit {
            true => Box::new(secure(server, tcp).await?),
            false => Box::new(tcp),
        };
        let session = Session::new(login, want, implicit, limits);
        let mut connection = Connection { session, stream, chunk: vec![0; CHUNK] };
        while let Some(step) = connection.advance().await? {
            match step {
                Step::Secure => {
                    let Connection { mut session, stream, chunk } = connection;
                    let stream = secure(server, stream).await?;
                    session.secured();
                    connection = Connection { session, stream: Box::new(stream), chunk };
                }
                _ => break,
            }
        }
        Ok(connection)
    }

    /// Fetches what a URL names, its encoding taken off by the server if it can.
    ///
    /// # Errors
    /// [`FetchError`]; after one that [`FetchError::is_refusal`] the connection is good for another URL.
    pub async fn fetch(&mut self, url: &str) -> Result<Part, FetchError> {
        if self.session.capabilities().binary {
            self.session.fetch(url, true)?;
            if let Fetched::Part(part) = self.outcome().await? {
                return Ok(part);
            }
        }
        self.session.fetch(url, false)?;
        match self.outcome().await? {
            Fetched::Part(part) => Ok(part),
            Fetched::Nil | Fetched::Undecodable => Err(FetchError::Refused(None)),
        }
    }

    /// Says good-bye, if the server listens.
    pub async fn close(mut self) {
        // Whether it hears makes no difference.
        let _unheard = self.stream.write_all(b"z LOGOUT\r\n").await;
        let _unheard = self.stream.shutdown().await;
    }

    async fn outcome(&mut self) -> Result<Fetched, FetchError> {
        loop {
            match self.advance().await? {
                Some(Step::Done(fetched)) => return Ok(fetched),
                Some(_) => {}
                None => return Err(FetchError::Unexpected),
            }
        }
    }

    /// Sends and receives until something else is to be done.
    async fn advance(&mut self) -> Result<Option<Step>, FetchError> {
        loop {
            match self.session.step()? {
                Step::Send(octets) => {
                    self.stream.write_all(&octets).await.map_err(FetchError::Io)?;
                    self.stream.flush().await.map_err(FetchError::Io)?;
                }
                Step::Wait => {
                    let length = self.stream.read(&mut self.chunk).await.map_err(FetchError::Io)?;
                    if length == 0 {
                        return Err(FetchError::Closed);
                    }
                    self.session.receive(self.chunk.get(..length).unwrap_or_default());
                }
                Step::Ready => return Ok(None),
                step => return Ok(Some(step)),
            }
        }
    }
}

async fn secure<S: AsyncRead + AsyncWrite + Unpin>(
    server: &Server,
    stream: S,
) -> Result<tokio_rustls::client::TlsStream<S>, FetchError> {
    let name = ServerName::try_from(server.host.clone())
        .map_err(|error| FetchError::Tls(std::io::Error::new(std::io::ErrorKind::InvalidInput, error)))?;
    TlsConnector::from(Arc::clone(&server.trust)).connect(name, stream).await.map_err(FetchError::Tls)
}
