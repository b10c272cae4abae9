//! Certificates made for one test, and files they lie in.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use transport::TlsFiles;

/// An authority with a folder for what it signs, which goes with it.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Self {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("bespoke-tls-{}-{serial}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, format!("Authority {serial}"));
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Self { issuer, folder };
        std::fs::write(authority.root(), authority.issuer.pem()).unwrap();
        authority
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.join("root.pem")
    }

    /// Signs a certificate for those names into files called `as_`; gives them with this root for both ways.
    pub(crate) fn sign(&self, as_: &str, names: &[SanType]) -> TlsFiles {
        self.sign_until(as_, names, 2100)
    }

    /// One that is good until that year.
    pub(crate) fn sign_until(&self, as_: &str, names: &[SanType], year: i32) -> TlsFiles {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.to_vec();
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        let file = |kind: &str| self.folder.join(format!("{as_}-{kind}.pem"));
        std::fs::write(file("cert"), signed.pem()).unwrap();
        std::fs::write(file("key"), key.serialize_pem()).unwrap();
        TlsFiles {
            cert: Some(file("cert")),
            key: Some(file("key")),
            ca: Some(self.root()),
            client_ca: Some(self.root()),
            operators_ca: None,
        }
    }

    /// Connects as a client that trusts this authority, with a certificate of its own if it has files.
    pub(crate) async fn connect(
        &self,
        to: std::net::SocketAddr,
        name: &str,
        own: Option<&TlsFiles>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(to).await.unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        TlsConnector::from(self.client(own)).connect(name, stream).await
    }

    fn client(&self, own: Option<&TlsFiles>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.root()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let chain = CertificateDer::from_pem_file(path(&own.cert)).unwrap();
                let key = PrivateKeyDer::from_pem_file(path(&own.key)).unwrap();
                builder.with_client_auth_cert(vec![chain], key).unwrap()
            }
        };
        Arc::new(config)
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn path(file: &Option<PathBuf>) -> &Path {
    file.as_deref().unwrap()
}

pub(crate) fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

pub(crate) fn uri(uri: &str) -> SanType {
    SanType::URI(uri.try_into().unwrap())
}
