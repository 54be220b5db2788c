//! The two tries of a probe.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use credential::PublicKey;
use quinn::crypto::rustls::{HandshakeData, QuicClientConfig};
use quinn::{Endpoint, VarInt};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use serde::Deserialize;
use tokio::time::Instant;

use super::any;
use super::target::{ALPN, UPLOAD};
use crate::client::Client;
use crate::config::Origin;
use crate::framed;
use crate::tls::provider;

/// Reaches a node by QUIC, where it must prove that it holds the key; says what it can send, in bit/s.
///
/// A node that is a super node already speaks the protocol of ordinary nodes, and is not measured.
pub(super) async fn quic(to: SocketAddr, key: &PublicKey) -> Result<Option<f64>, String> {
    let words = |error: &dyn std::fmt::Display| format!("QUIC at {to}: {error}");
    let endpoint = Endpoint::client(any(to)).map_err(|error| words(&error))?;
    let config = client(key).map_err(|error| words(&error))?;
    let connecting = endpoint
        .connect_with(config, to, "probe.sn")
        .map_err(|error| words(&error))?;
    let connection = connecting.await.map_err(|error| words(&error))?;
    let protocol = connection
        .handshake_data()
        .and_then(|data| data.downcast::<HandshakeData>().ok())
        .and_then(|data| data.protocol);
    let upload = if protocol.as_deref() == Some(ALPN) {
        let (mut send, mut receive) = connection.open_bi().await.map_err(|error| words(&error))?;
        send.write_all(&[1]).await.map_err(|error| words(&error))?;
        let begun = Instant::now();
        let arrived = receive
            .read_to_end(UPLOAD)
            .await
            .map_err(|error| words(&error))?;
        let took = begun.elapsed().max(Duration::from_micros(1));
        Some(arrived.len() as f64 * 8.0 / took.as_secs_f64())
    } else {
        None
    };
    connection.close(VarInt::from_u32(0), b"");
    Ok(upload)
}

/// Reaches a node by HTTP(S), where it must name the key.
pub(super) async fn http(client: &Client, origin: &Origin, key: &str) -> Result<(), String> {
    #[derive(Deserialize)]
    struct About {
        public_key: String,
    }
    let about: About = client
        .read(origin, "/.well-known/partyline")
        .await
        .map_err(|error| format!("{origin} {error}"))?;
    if about.public_key != key {
        return Err(format!("{origin} is another node"));
    }
    Ok(())
}

fn client(key: &PublicKey) -> Result<quinn::ClientConfig, String> {
    let mut config = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Holder(*key)))
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec(), framed::ALPN.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    let config = QuicClientConfig::try_from(config).map_err(|error| error.to_string())?;
    Ok(quinn::ClientConfig::new(Arc::new(config)))
}

/// Accepts any certificate, and of the handshake's signature only that it is by this key.
#[derive(Debug)]
struct Holder(PublicKey);

impl ServerCertVerifier for Holder {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 alone".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        _: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let holds = signed.scheme == SignatureScheme::ECDSA_NISTP256_SHA256
            && UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, self.0.to_point())
                .verify(message, signed.signature())
                .is_ok();
        if holds {
            Ok(HandshakeSignatureValid::assertion())
        } else {
            Err(CertificateError::BadSignature.into())
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
