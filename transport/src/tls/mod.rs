//! TLS for SIP: certificates from files, handshakes both ways, and who the other end proved to be (RFC 5922).

mod files;
mod identity;
mod verify;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::TransportError;

pub use files::{Audience, TlsError, TlsFiles};

/// What handshakes are made with: one reading of the files.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    /// `None`: there is no certificate, and nothing is served.
    server: Option<Arc<ServerConfig>>,
    /// The same for HTTP.
    web: Option<Arc<ServerConfig>>,
    /// The same for operators.
    operators: Option<Arc<ServerConfig>>,
    client: Arc<ClientConfig>,
    /// When our certificate is good.
    pub(crate) validity: Option<Validity>,
}

/// What a handshake with a client of HTTP came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shaken {
    /// HTTP/2 was agreed on.
    pub is_http2: bool,
    /// The client showed a certificate that holds.
    pub is_certified: bool,
}

/// From when until when a certificate is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) from: SystemTime,
    pub(crate) until: SystemTime,
}

impl Tls {
    pub(crate) const fn has_certificate(&self) -> bool {
        self.server.is_some()
    }

    /// The handshake with one who connected.
    pub(crate) async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Some(config) = &self.server else { return Err(io::ErrorKind::Unsupported.into()) };
        TlsAcceptor::from(Arc::clone(config)).accept(stream).await.map(Into::into)
    }

    /// The handshake with one who connected to speak HTTP.
    pub(crate) async fn accept_web<S>(
        &self,
        stream: S,
        audience: Audience,
    ) -> io::Result<(TlsStream<S>, Shaken)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = match audience {
            Audience::Public => &self.web,
            Audience::Operators => &self.operators,
        };
        let Some(config) = config else { return Err(io::ErrorKind::Unsupported.into()) };
        let stream = TlsAcceptor::from(Arc::clone(config)).accept(stream).await?;
        let (_, session) = stream.get_ref();
        let is_http2 = session.alpn_protocol() == Some(files::HTTP_2);
        let is_certified = session.peer_certificates().is_some_and(|chain| !chain.is_empty());
        Ok((stream.into(), Shaken { is_http2, is_certified }))
    }

    /// The handshake with one we connected to, who must prove to be `name`, or that address.
    pub(crate) async fn connect<S>(
        &self,
        stream: S,
        name: Option<&str>,
        address: IpAddr,
    ) -> Result<TlsStream<S>, TransportError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let wanted = match name {
            Some(name) => ServerName::try_from(name.to_owned()).map_err(|_| TransportError::Untrusted)?,
            None => ServerName::from(address),
        };
        let connecting = TlsConnector::from(Arc::clone(&self.client)).connect(wanted, stream);
        connecting.await.map(Into::into).map_err(|error| failed(&error))
    }
}

fn failed(error: &io::Error) -> TransportError {
    let ours = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match ours {
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
            TransportError::Untrusted
        }
        Some(_) => TransportError::Handshake,
        None => TransportError::from(error),
    }
}

/// Whom the other end of a stream proved to be; nobody if it showed no certificate.
pub(crate) fn identities<S>(stream: &TlsStream<S>) -> Vec<String> {
    let (_, session) = stream.get_ref();
    let certificate = session.peer_certificates().and_then(|chain| chain.first());
    certificate.map(|certificate| identity::of(certificate)).unwrap_or_default()
}
