//! The webhook's certificate: from files, or made here and kept in memory.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

/// The Service that the API server calls inside a cluster.
const SERVICE: &str = "curfew-webhook";

/// A certificate, ready to serve with, and how others can trust it.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// What the listener speaks TLS with.
    pub config: Arc<ServerConfig>,
    /// The certificates, in PEM, that a webhook configuration must trust.
    pub ca_bundle: String,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file is not there or cannot be read.
    #[error("--tls-dir: {path}: {source}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// A file has no certificate in it.
    #[error("--tls-dir: {0}: there is no certificate in it")]
    Empty(PathBuf),
    /// The certificate and the key cannot be used together.
    #[error("--tls-dir: tls.crt and tls.key do not fit together: {0}")]
    Unfit(rustls::Error),
    /// No certificate could be made.
    #[error("cannot make a certificate: {0}")]
    Unmade(#[from] rcgen::Error),
    /// The made certificate could not be used.
    #[error("cannot use the certificate that was made: {0}")]
    Unusable(String),
}

// === impl Certificate ===

impl Certificate {
    /// Reads `tls.crt` and `tls.key`, and `ca.crt` if it is there, as a Secret of type `kubernetes.io/tls` holds them.
    ///
    /// # Errors
    /// A file is missing or unreadable, or the certificate does not fit the key.
    pub fn read(dir: &Path) -> Result<Self, Error> {
        let (crt, key, ca) = (dir.join("tls.crt"), dir.join("tls.key"), dir.join("ca.crt"));
        let unreadable = |path: &PathBuf| {
            let path = path.clone();
            move |source| Error::Unreadable { path, source }
        };
        let chain: Vec<_> = CertificateDer::pem_file_iter(&crt)
            .map_err(unreadable(&crt))?
            .collect::<Result<_, _>>()
            .map_err(unreadable(&crt))?;
        if chain.is_empty() {
            return Err(Error::Empty(crt));
        }
        let private = PrivateKeyDer::from_pem_file(&key).map_err(unreadable(&key))?;
        let bundle = if ca.exists() { ca } else { crt };
        let ca_bundle = std::fs::read_to_string(&bundle)
            .map_err(|error| unreadable(&bundle)(rustls::pki_types::pem::Error::Io(error)))?;
        Ok(Self {
            config: config(chain, private).map_err(Error::Unfit)?,
            ca_bundle,
        })
    }

    /// Makes a certificate authority and a certificate for the Service of a namespace, for this machine and for
    /// the address that is listened on.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn self_made(namespace: &str, addr: IpAddr) -> Result<Self, Error> {
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, "Curfew");
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;

        let mut names = vec![
            format!("{SERVICE}.{namespace}.svc"),
            format!("{SERVICE}.{namespace}.svc.cluster.local"),
            "localhost".to_owned(),
            "127.0.0.1".to_owned(),
        ];
        if !addr.is_unspecified() && !names.contains(&addr.to_string()) {
            names.push(addr.to_string());
        }
        let mut leaf = CertificateParams::new(names)?;
        leaf.distinguished_name
            .push(DnType::CommonName, format!("{SERVICE}.{namespace}.svc"));
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let chain = vec![leaf.signed_by(&key, &authority)?.der().clone()];
        let private =
            PrivateKeyDer::try_from(key.serialize_der()).map_err(|error| Error::Unusable(error.to_owned()))?;
        let config = config(chain, private).map_err(|error| Error::Unusable(error.to_string()))?;
        Ok(Self {
            config,
            ca_bundle: authority.pem(),
        })
    }
}

fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn pair() -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("params");
        (
            params.self_signed(&key).expect("a certificate").pem(),
            key.serialize_pem(),
        )
    }

    fn read(files: &[(&str, &str)]) -> Result<Certificate, String> {
        let dir = tempfile::tempdir().expect("a directory");
        for (name, text) in files {
            fs::write(dir.path().join(name), text).expect("written");
        }
        Certificate::read(dir.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_pair_is_read_and_trusted_by_itself_or_by_its_authority() {
        let (crt, key) = pair();
        assert_eq!(
            read(&[("tls.crt", &crt), ("tls.key", &key)]).expect("read").ca_bundle,
            crt
        );
        let (ca, _) = pair();
        let read = read(&[("tls.crt", &crt), ("tls.key", &key), ("ca.crt", &ca)]).expect("read");
        assert_eq!(read.ca_bundle, ca);
    }

    #[test]
    fn what_is_wrong_is_said_in_a_line() {
        let ((crt, key), (_, other)) = (pair(), pair());
        for (files, words) in [
            (vec![], "tls.crt: "),
            (vec![("tls.crt", crt.as_str())], "tls.key: "),
            (
                vec![("tls.crt", ""), ("tls.key", &key)],
                "tls.crt: there is no certificate in it",
            ),
            (vec![("tls.crt", &crt), ("tls.key", "nonsense")], "tls.key: "),
            (
                vec![("tls.crt", &crt), ("tls.key", &other)],
                "tls.crt and tls.key do not fit together",
            ),
        ] {
            let error = read(&files).expect_err(words);
            assert!(error.contains(words) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_certificate_is_made_for_service_and_address() {
        let made = Certificate::self_made("curfew-system", "10.0.0.7".parse().expect("an address")).expect("made");
        assert!(made.ca_bundle.starts_with("-----BEGIN CERTIFICATE-----"));
    }
}
