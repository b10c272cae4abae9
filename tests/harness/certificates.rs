//! Certificates of one test, made by OpenSSL.

use std::path::PathBuf;
use std::process::Command;

/// An authority with a folder for what it signs, which goes with it.
pub(crate) struct Authority {
    dir: tempfile::TempDir,
}

/// A certificate and its key, both PEM.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let authority = Self { dir: tempfile::tempdir().unwrap() };
        authority.make("root", "basicConstraints = critical, CA:TRUE\nkeyUsage = keyCertSign\n", &[]);
        authority
    }

    /// Its own certificate.
    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("root.pem")
    }

    /// Signs a certificate into files called `as_`; `names` are such as `DNS:example.com`.
    pub(crate) fn sign(&self, as_: &str, names: &str) -> Identity {
        let (root, key) = (self.root(), self.dir.path().join("root.key"));
        let extensions = format!("basicConstraints = CA:FALSE\nsubjectAltName = {names}\n");
        self.make(as_, &extensions, &["-CA", &root.to_string_lossy(), "-CAkey", &key.to_string_lossy()])
    }

    fn make(&self, as_: &str, extensions: &str, signer: &[&str]) -> Identity {
        let file = |kind: &str| self.dir.path().join(format!("{as_}.{kind}"));
        let sections = "[req]\ndistinguished_name = none\nx509_extensions = ext\n[none]\n[ext]\n";
        std::fs::write(file("cnf"), format!("{sections}{extensions}")).unwrap();
        let output = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"])
            .args(["-days", "30", "-subj", &format!("/CN={as_}")])
            .args(signer)
            .arg("-config")
            .arg(file("cnf"))
            .arg("-keyout")
            .arg(file("key"))
            .arg("-out")
            .arg(file("pem"))
            .output()
            .expect("openssl runs (Debian's package openssl)");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Identity { cert: file("pem"), key: file("key") }
    }
}

impl Identity {
    /// The settings that make the server under test this one.
    pub(crate) fn settings(&self) -> [String; 2] {
        [format!("tls.cert={}", self.cert.display()), format!("tls.key={}", self.key.display())]
    }
}
