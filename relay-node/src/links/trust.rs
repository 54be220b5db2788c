use std::fmt;
use std::sync::Arc;

use credential::{Certificate, NodeId, Refusal, RevocationList, TrustAnchor};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;

use crate::framed;
use crate::identity::Identity;
use crate::tls::{Judge, Judged, Shown, provider};

pub(super) const ALPN: &[u8] = b"partyline-sn/1";

/// Why a link to another super node isn't one.
#[derive(Debug)]
pub enum LinkError {
    /// The address can't be resolved or dialled.
    Address(String),
    /// No connection, or TLS refused it.
    Connection(quinn::ConnectionError),
    /// TLS can't use this node's own certificate.
    Tls(String),
    /// The other end showed no super node's certificate.
    NoCertificate,
    /// Its certificate does not count here.
    Refused(Refusal),
    /// It is another super node than the one dialled.
    OtherNode(NodeId),
    /// It did not open the streams that it should.
    Streams,
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(why) => write!(f, "address can't be dialled: {why}"),
            Self::Connection(error) => error.fmt(f),
            Self::Tls(why) => write!(f, "own certificate can't be used: {why}"),
            Self::NoCertificate => f.write_str("no super node certificate was shown"),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::OtherNode(node) => write!(f, "super node {node} answered instead"),
            Self::Streams => f.write_str("streams were not opened as they should"),
        }
    }
}

impl std::error::Error for LinkError {}

impl From<quinn::ConnectionError> for LinkError {
    fn from(error: quinn::ConnectionError) -> Self {
        Self::Connection(error)
    }
}

/// The accepting side: another super node must show a certificate of the same overlay that is good for TLS clients; an
/// ordinary node, which names its own protocol, shows none and proves itself later.
pub(super) fn server(identity: &Identity) -> Result<QuicServerConfig, LinkError> {
    let verifier =
        WebPkiClientVerifier::builder_with_provider(roots(&identity.anchor)?, provider())
            .allow_unauthenticated()
            .build()
            .map_err(tls)?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(tls)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain(identity), key(identity).into())
        .map_err(tls)?;
    config.alpn_protocols = vec![ALPN.to_vec(), framed::ALPN.to_vec()];
    QuicServerConfig::try_from(config).map_err(tls)
}

/// The dialling side: the other end must show a certificate of the same overlay over the name dialled.
pub(super) fn client(identity: &Identity) -> Result<QuicClientConfig, LinkError> {
    let verifier =
        WebPkiServerVerifier::builder_with_provider(roots(&identity.anchor)?, provider())
            .build()
            .map_err(tls)?;
    let mut config = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(tls)?
        .with_webpki_verifier(verifier)
        .with_client_auth_cert(chain(identity), key(identity).into())
        .map_err(tls)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    // A link is set up once and stays; tickets would outlive a revocation.
    config.resumption = rustls::client::Resumption::disabled();
    QuicClientConfig::try_from(config).map_err(tls)
}

/// The side of an ordinary node: the other end must show that it is a super node of the overlay. Which one, and that it
/// answers for the host that was dialled, it proves in the association's own handshake.
pub(super) fn ordinary(anchor: &TrustAnchor) -> Result<QuicClientConfig, LinkError> {
    let roots = roots(anchor)?;
    let usual = WebPkiServerVerifier::builder_with_provider(roots, provider())
        .build()
        .map_err(tls)?;
    let verifier = Judged {
        judge: AnySuperNode,
        usual,
    };
    let mut config = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![framed::ALPN.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    QuicClientConfig::try_from(config).map_err(tls)
}

/// The name that counts is that of the certificate itself, which must be a super node's.
#[derive(Debug)]
struct AnySuperNode;

impl Judge for AnySuperNode {
    fn judge(&self, shown: &Shown<'_>, usual: &WebPkiServerVerifier) -> Result<(), rustls::Error> {
        let unfit = rustls::CertificateError::ApplicationVerificationFailure;
        let Shown {
            end_entity,
            intermediates,
            ocsp,
            now,
            ..
        } = *shown;
        let name = Certificate::read(end_entity)
            .ok()
            .and_then(|certificate| certificate.node())
            .and_then(|node| ServerName::try_from(node.host()).ok())
            .ok_or(rustls::Error::InvalidCertificate(unfit))?;
        usual
            .verify_server_cert(end_entity, intermediates, &name, ocsp, now)
            .map(drop)
    }
}

/// Says which super node TLS has verified at the other end. `wall` is the date in milliseconds since 1970.
pub(super) fn other_end(
    connection: &quinn::Connection,
    identity: &Identity,
    wall: u64,
    revocations: &RevocationList,
) -> Result<Certificate, LinkError> {
    let shown = connection
        .peer_identity()
        .and_then(|shown| shown.downcast::<Vec<CertificateDer<'static>>>().ok())
        .ok_or(LinkError::NoCertificate)?;
    let first = shown.first().ok_or(LinkError::NoCertificate)?;
    let certificate = Certificate::read(first).map_err(|_| LinkError::NoCertificate)?;
    identity
        .anchor
        .admit(&certificate, wall, revocations)
        .map_err(LinkError::Refused)?;
    certificate
        .node()
        .ok_or(LinkError::Refused(Refusal::Role))?;
    Ok(certificate)
}

/// Says which protocol the other end of a connection named.
pub(super) fn protocol(connection: &quinn::Connection) -> Option<Vec<u8>> {
    connection
        .handshake_data()?
        .downcast::<quinn::crypto::rustls::HandshakeData>()
        .ok()?
        .protocol
}

fn roots(anchor: &TrustAnchor) -> Result<Arc<RootCertStore>, LinkError> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from(anchor.certificate().der().to_vec());
    roots.add(root).map_err(tls)?;
    Ok(Arc::new(roots))
}

fn chain(identity: &Identity) -> Vec<CertificateDer<'static>> {
    vec![CertificateDer::from(identity.certificate.der().to_vec())]
}

fn key(identity: &Identity) -> PrivatePkcs8KeyDer<'static> {
    PrivatePkcs8KeyDer::from(identity.key.pkcs8().to_vec())
}

fn tls(error: impl fmt::Display) -> LinkError {
    LinkError::Tls(error.to_string())
}
