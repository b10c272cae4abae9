//! Certificates and keys as they lie on disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::verify::SipVerifier;
use super::{Tls, identity};

/// The roots that come with the system, where nothing else is said.
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Where certificates lie, all of them PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Our chain, our own certificate first. Shown to those who connect, and to those we connect to who ask.
    pub cert: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
    /// Roots of the servers we connect to; `None`: the system's.
    pub ca: Option<PathBuf>,
    /// Roots of clients. With them a client is asked for a certificate, and may have none; one that does not
    /// hold ends the handshake. `None`: no client is asked.
    pub client_ca: Option<PathBuf>,
    /// Roots of operators' programs, who may show a certificate where [`Audience::Operators`] are served.
    pub operators_ca: Option<PathBuf>,
}

/// Who connects to speak HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Browsers and phones: nobody is asked for a certificate.
    Public,
    /// Operators and their programs, who may show one of [`TlsFiles::operators_ca`].
    Operators,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
#[error("{}: {what}", path.display())]
pub struct TlsError {
    /// Which of [`TlsFiles`] it is: `cert`, `key`, `ca`, `client_ca` or `operators_ca`.
    pub field: &'static str,
    /// The file.
    pub path: PathBuf,
    /// What it lacks.
    pub what: String,
}

/// HTTP/2 in ALPN (RFC 9113 §3.2).
pub(crate) const HTTP_2: &[u8] = b"h2";

impl TlsFiles {
    /// Reads them all once, to see whether they would do.
    ///
    /// # Errors
    /// The first that would not.
    pub fn check(&self) -> Result<(), TlsError> {
        self.load().map(drop)
    }

    pub(crate) fn not_today(&self) -> TlsError {
        self.of_cert("is not good today: it has ended, or begins later")
    }

    pub(crate) fn missing(&self) -> TlsError {
        self.of_cert("must not go while sockets serve TLS with it")
    }

    fn of_cert(&self, what: &str) -> TlsError {
        wrong("cert", self.cert.as_deref().unwrap_or(Path::new("tls.cert")), what)
    }

    pub(crate) fn load(&self) -> Result<Tls, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let own = self.own()?;
        let validity = own.as_ref().and_then(|own| identity::validity(own.chain.first()?));
        let client_ca = self.client_ca.as_deref().map(|path| ("client_ca", path));
        let server = match &own {
            Some(own) => Some(Arc::new(self.server(own, client_ca, &provider)?)),
            None => None,
        };
        let web = |audience| match &own {
            Some(own) => self.web(own, audience, &provider).map(|config| Some(Arc::new(config))),
            None => Ok(None),
        };
        let (web, operators) = (web(Audience::Public)?, web(Audience::Operators)?);
        let client = Arc::new(self.client(own, &provider)?);
        Ok(Tls { server, web, operators, client, validity })
    }

    fn own(&self) -> Result<Option<Own>, TlsError> {
        let (cert, key) = match (&self.cert, &self.key) {
            (None, None) => return Ok(None),
            (Some(cert), Some(key)) => (cert, key),
            (Some(path), None) => return Err(wrong("cert", path, "has no key: name its file too")),
            (None, Some(path)) => return Err(wrong("key", path, "has no certificate: name its file too")),
        };
        let chain = certificates("cert", cert)?;
        let secret =
            PrivateKeyDer::from_pem_file(key).map_err(|error| wrong("key", key, &error.to_string()))?;
        Ok(Some(Own { chain, key: secret, cert: cert.clone() }))
    }

    /// `clients`: the roots of those who may show a certificate, with their field.
    fn server(
        &self,
        own: &Own,
        clients: Option<(&'static str, &Path)>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<ServerConfig, TlsError> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| own.wrong(&error))?;
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some((field, path)) => {
                let roots = Arc::new(roots(field, path)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider))
                    .allow_unauthenticated()
                    .build()
                    .map_err(|error| wrong(field, path, &error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        builder.with_single_cert(own.chain.clone(), own.key.clone_key()).map_err(|error| own.wrong(&error))
    }

    /// For HTTP: browsers are asked for no certificate, and HTTP/2 is offered (RFC 9113 §3.2).
    fn web(
        &self,
        own: &Own,
        audience: Audience,
        provider: &Arc<CryptoProvider>,
    ) -> Result<ServerConfig, TlsError> {
        let clients = match audience {
            Audience::Public => None,
            Audience::Operators => self.operators_ca.as_deref().map(|path| ("operators_ca", path)),
        };
        let mut config = self.server(own, clients, provider)?;
        config.alpn_protocols = vec![HTTP_2.to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    fn client(&self, own: Option<Own>, provider: &Arc<CryptoProvider>) -> Result<ClientConfig, TlsError> {
        let roots = match &self.ca {
            Some(path) => roots("ca", path)?,
            // Without it nobody is trusted, which is said when somebody is to be.
            None => roots("ca", Path::new(SYSTEM_ROOTS)).unwrap_or_else(|_none| RootCertStore::empty()),
        };
        let verifier = SipVerifier { roots: Arc::new(roots), provider: Arc::clone(provider) };
        let builder = ClientConfig::builder_with_provider(Arc::clone(provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong("ca", Path::new(SYSTEM_ROOTS), &error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        match own {
            None => Ok(builder.with_no_client_auth()),
            Some(Own { chain, key, cert }) => builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| wrong("cert", &cert, &error.to_string())),
        }
    }
}

/// Our certificate with its key.
struct Own {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    cert: PathBuf,
}

impl Own {
    fn wrong(&self, error: &rustls::Error) -> TlsError {
        let what = match error {
            rustls::Error::InconsistentKeys(_) => "is not of this key".to_owned(),
            other => other.to_string(),
        };
        wrong("cert", &self.cert, &what)
    }
}

impl Tls {
    /// Whether our certificate is good now.
    pub(crate) fn is_good(&self, now: SystemTime) -> bool {
        self.validity.is_none_or(|validity| validity.from <= now && now <= validity.until)
    }
}

fn roots(field: &'static str, path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates(field, path)?);
    if added == 0 {
        return Err(wrong(field, path, "holds no certificate of a root"));
    }
    Ok(roots)
}

fn certificates(field: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = |error: rustls::pki_types::pem::Error| wrong(field, path, &error.to_string());
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(read)?.collect();
    let found = found.map_err(read)?;
    if found.is_empty() {
        return Err(wrong(field, path, "holds no certificate in PEM"));
    }
    Ok(found)
}

fn wrong(field: &'static str, path: &Path, what: &str) -> TlsError {
    TlsError { field, path: path.to_owned(), what: what.to_owned() }
}
