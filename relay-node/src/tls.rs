//! TLS of the HTTP side: the operator's certificate files, and what to trust when this node is the client.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use std::{fmt, io};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use tokio::sync::watch;

use crate::framed;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(10);

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

/// The certificates that a server shows, and the name by which it was dialled.
pub(crate) struct Shown<'a> {
    pub(crate) end_entity: &'a CertificateDer<'a>,
    pub(crate) intermediates: &'a [CertificateDer<'a>],
    pub(crate) name: &'a ServerName<'a>,
    pub(crate) ocsp: &'a [u8],
    pub(crate) now: UnixTime,
}

/// What makes certificates count that are not of the host which was dialled.
pub(crate) trait Judge: fmt::Debug + Send + Sync {
    /// Says whether they count; `usual` is the verifier of the web.
    fn judge(&self, shown: &Shown<'_>, usual: &WebPkiServerVerifier) -> Result<(), rustls::Error>;
}

/// The verifier of the web for all but the certificates' names, of which a [`Judge`] decides.
#[derive(Debug)]
pub(crate) struct Judged<J> {
    pub(crate) judge: J,
    pub(crate) usual: Arc<WebPkiServerVerifier>,
}

impl<J: Judge> ServerCertVerifier for Judged<J> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let shown = Shown {
            end_entity,
            intermediates,
            name,
            ocsp,
            now,
        };
        self.judge.judge(&shown, &self.usual)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.usual
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.usual
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

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
    config.alpn_protocols = vec![b"http/1.1".to_vec(), framed::ALPN.to_vec()];
    // Whoever comes again brings his session along. Kept here, there would be room for a few hundred, and when thousands
    // come back at once none of them would find his.
    config.ticketer = rustls::crypto::ring::Ticketer::new()
        .map_err(|error| TlsError::Pair(certificate.into(), error))?;
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

/// Makes the server side of HTTPS and follows the files: a renewed certificate is shown without a restart.
///
/// # Errors
/// Names the file that does not serve now. One that does not serve later is told of, and the last good one stays.
pub fn follow(
    certificate: &Path,
    key: &Path,
) -> Result<watch::Receiver<Arc<ServerConfig>>, TlsError> {
    follow_every(LOOK, certificate, key)
}

fn follow_every(
    look: Duration,
    certificate: &Path,
    key: &Path,
) -> Result<watch::Receiver<Arc<ServerConfig>>, TlsError> {
    let (shown, followed) = watch::channel(server(certificate, key)?);
    let (certificate, key) = (certificate.to_owned(), key.to_owned());
    tokio::spawn(async move {
        let mut seen = changed(&certificate, &key);
        loop {
            tokio::time::sleep(look).await;
            if shown.is_closed() {
                return;
            }
            let now = changed(&certificate, &key);
            if now == seen {
                continue;
            }
            match server(&certificate, &key) {
                Ok(config) => {
                    tracing::info!(file = %certificate.display(), "TLS certificate read again");
                    shown.send_replace(config);
                    seen = now;
                }
                // Perhaps only one of the two files is new yet: look again.
                Err(error) => tracing::warn!("the TLS certificate stays as it was: {error}"),
            }
        }
    });
    Ok(followed)
}

/// Makes the client side of HTTPS: the system's authorities, and those in `trust` (PEM).
///
/// # Errors
/// `trust` does not serve.
pub fn client(trust: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Pair(PathBuf::new(), error))?
        .with_root_certificates(roots(trust)?)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The system's authorities, and those in `trust` (PEM).
pub(crate) fn roots(trust: Option<&Path>) -> Result<RootCertStore, TlsError> {
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
    Ok(roots)
}

/// The one provider of cryptography.
pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn changed(certificate: &Path, key: &Path) -> [Option<SystemTime>; 2] {
    let modified = |path| {
        std::fs::metadata(path)
            .and_then(|file| file.modified())
            .ok()
    };
    [modified(certificate), modified(key)]
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

/// Whether a handshake failed as it does at a super node that has too much to do: it closes connections without a word.
#[must_use]
pub fn is_busy(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(directory: &Path) -> (PathBuf, PathBuf) {
        let pair = rcgen::KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned()];
        let params = rcgen::CertificateParams::new(names).unwrap();
        let (certificate, key) = (directory.join("tls.pem"), directory.join("tls.key"));
        std::fs::write(&certificate, params.self_signed(&pair).unwrap().pem()).unwrap();
        std::fs::write(&key, pair.serialize_pem()).unwrap();
        (certificate, key)
    }

    #[tokio::test]
    async fn renewed_files_are_read_and_broken_ones_change_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let (certificate, key) = write(directory.path());
        let look = Duration::from_millis(20);
        let mut shown = follow_every(look, &certificate, &key).unwrap();
        std::fs::write(&certificate, "nonsense").unwrap();
        let broken = tokio::time::timeout(look * 10, shown.changed()).await;
        assert!(broken.is_err(), "a broken file was shown");
        write(directory.path());
        let soon = Duration::from_secs(5);
        tokio::time::timeout(soon, shown.changed())
            .await
            .unwrap()
            .unwrap();
    }

    /// One connection in memory; says whether it took up a session.
    fn connect(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>) -> bool {
        let name = "localhost".try_into().unwrap();
        let mut client = rustls::ClientConnection::new(client.clone(), name).unwrap();
        let mut server = rustls::ServerConnection::new(server.clone()).unwrap();
        // What follows the handshake is the ticket.
        while client.wants_write() || server.wants_write() {
            let mut bytes = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut bytes).unwrap();
            }
            server.read_tls(&mut bytes.as_slice()).unwrap();
            server.process_new_packets().unwrap();
            bytes.clear();
            while server.wants_write() {
                server.write_tls(&mut bytes).unwrap();
            }
            client.read_tls(&mut bytes.as_slice()).unwrap();
            client.process_new_packets().unwrap();
        }
        client.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }

    #[test]
    fn a25_who_comes_again_takes_up_his_session_however_many_came_between() {
        let directory = tempfile::tempdir().unwrap();
        let (certificate, key) = write(directory.path());
        let server = server(&certificate, &key).unwrap();
        let first = client(Some(&certificate)).unwrap();
        let another = |_| {
            let mut config = ClientConfig::clone(&first);
            config.resumption = rustls::client::Resumption::in_memory_sessions(1);
            Arc::new(config)
        };
        let clients: Vec<_> = (0..600).map(another).collect();
        let resumed = |client| connect(&server, client);
        assert!(!clients.iter().any(resumed));
        assert!(clients.iter().all(resumed));
    }

    #[test]
    fn what_is_no_certificate_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let (certificate, key) = write(directory.path());
        let refused = server(&key, &key).unwrap_err().to_string();
        assert!(
            refused.contains("tls.key") && refused.contains("no certificate"),
            "{refused}"
        );
        let refused = server(&certificate, &certificate).unwrap_err().to_string();
        assert!(refused.contains("no private key"), "{refused}");
        let other = tempfile::tempdir().unwrap();
        let (_, foreign) = write(other.path());
        let refused = server(&certificate, &foreign).unwrap_err().to_string();
        assert!(refused.contains("can't be used with its key"), "{refused}");
    }
}
