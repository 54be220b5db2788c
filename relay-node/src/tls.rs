//! TLS of the HTTP side: the operator's certificate files, and what to trust when this node is the client.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// Why TLS can't be set up.
#[derive(Debug)]
pub enum TlsError {
    /// The file can't be read or holds nothing of the kind.
    File(PathBuf, String),
    /// Certificate and key don't belong together, or can't be used.
    Pair(PathBuf, rustls::Error),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, message) => write!(f, "{}: {message}", path.display()),
            Self::Pair(path, error) => write!(
                f,
                "the TLS certificate {} can't be used with its key: {error}",
                path.display()
            ),
        }
    }
}

impl std::error::Error for TlsError {}

/// Makes the server side of HTTPS from a certificate chain and its key, both PEM.
///
/// # Errors
/// Names the file that does not serve.
pub fn server(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = certificates(certificate)?;
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| TlsError::File(key.into(), format!("no private key: {error}")))?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Pair(certificate.into(), error))?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(|error| TlsError::Pair(certificate.into(), error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Makes the client side of HTTPS: the system's authorities, and those in `trust` (PEM).
///
/// # Errors
/// `trust` does not serve.
pub fn client(trust: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    if let Some(path) = trust {
        for authority in certificates(path)? {
            roots
                .add(authority)
                .map_err(|error| TlsError::Pair(path.into(), error))?;
        }
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Pair(PathBuf::new(), error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The one provider of cryptography.
pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let file = |message: String| TlsError::File(path.into(), message);
    let chain = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| file(format!("no certificate: {error}")))?;
    if chain.is_empty() {
        return Err(file("no certificate in it".to_owned()));
    }
    Ok(chain)
}
