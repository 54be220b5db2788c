//! DTLS-SRTP towards a page (RFC 5764): the handshake, as its server, and the keys that come of it.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use p2psip::Numbers;
use ring::digest::{SHA256, digest};
use rtc_crypto::RTCCryptoProvider;
use rtc_dtls::config::{ClientAuthType, ConfigBuilder, HandshakeConfig};
use rtc_dtls::crypto::Certificate;
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc_dtls::state::State;
use rtc_shared::TransportProtocol;
use rtc_srtp::config::{Config, LABEL_EXTRACTOR_DTLS_SRTP};
use rtc_srtp::context::Context;
use rtc_srtp::option::{srtcp_replay_protection, srtp_replay_protection};
use rtc_srtp::protection_profile::ProtectionProfile;

/// Packets by which one that comes late is still taken.
const WINDOW: usize = 128;
/// Sources that may be tried in one call: each takes memory, also one that somebody makes up.
const SOURCES: usize = 512;

/// The bridge's certificate for media, and what makes its keys.
#[derive(Clone)]
pub(crate) struct Keys {
    provider: Arc<dyn RTCCryptoProvider>,
    config: Arc<HandshakeConfig>,
    fingerprint: String,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.fingerprint)
    }
}

/// There are no keys to be had.
#[derive(Debug, Clone)]
pub(crate) struct NoKeys(String);

impl std::fmt::Display for NoKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no keys for the media bridge: {}", self.0)
    }
}

impl Keys {
    /// Makes new keys.
    pub(crate) fn generate() -> Result<Self, NoKeys> {
        let failed = |error: rtc_shared::error::Error| NoKeys(error.to_string());
        let provider = rtc_crypto::default_provider().map_err(|error| NoKeys(error.to_string()))?;
        let names = vec!["bridge.invalid".to_owned()];
        let certificate =
            Certificate::generate_self_signed(names, provider.crypto()).map_err(failed)?;
        let print = fingerprint(&certificate.certificate[0]);
        let config = ConfigBuilder::default()
            .with_crypto_provider(provider.clone())
            .with_certificates(vec![certificate])
            .with_srtp_protection_profiles(vec![
                SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
                SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
            ])
            // Whose certificate it is, the fingerprint says.
            .with_client_auth(ClientAuthType::RequireAnyClientCert)
            .with_insecure_skip_verify(true)
            .build(false, None)
            .map_err(failed)?;
        Ok(Self {
            provider,
            config: Arc::new(config),
            fingerprint: print,
        })
    }

    /// The value of `a=fingerprint`.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

/// The secured way to one page.
pub(super) struct Secured {
    keys: Keys,
    endpoint: Endpoint,
    /// Fingerprint of the certificate that the handshake has proved.
    peer: Option<String>,
    contexts: Option<(Context, Context)>,
    proved: HashSet<u32>,
    tried: usize,
    closed: bool,
}

impl Secured {
    pub(super) fn new(keys: Keys) -> Self {
        let endpoint = Endpoint::new(NOWHERE, TransportProtocol::UDP, Some(keys.config.clone()));
        Self {
            keys,
            endpoint,
            peer: None,
            contexts: None,
            proved: HashSet::new(),
            tried: 0,
            closed: false,
        }
    }

    /// Takes in a datagram of the handshake.
    pub(super) fn receive(&mut self, bytes: &[u8], now: Instant) {
        let events = self.endpoint.read(now, THERE, None, BytesMut::from(bytes));
        // What can't be read is dropped, as DTLS wants it (RFC 6347, section 4.1.2.7).
        let events = events.inspect_err(|error| tracing::debug!("DTLS of a page: {error}"));
        for event in events.unwrap_or_default() {
            match event {
                EndpointEvent::HandshakeComplete => self.complete(),
                EndpointEvent::PeerClosed => self.closed = true,
                _ => {}
            }
        }
    }

    /// What is to be sent of the handshake.
    pub(super) fn transmit(&mut self) -> Option<Vec<u8>> {
        let next = self.endpoint.poll_transmit()?;
        Some(next.message.to_vec())
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        // Fails where there is no handshake yet, and where it was repeated in vain: the page's own patience ends the call.
        let _ = self.endpoint.handle_timeout(THERE, now);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.endpoint.poll_timeout(&THERE)
    }

    /// The fingerprint of whoever has made the handshake.
    pub(super) fn peer(&self) -> Option<&str> {
        self.peer.as_deref()
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Opens what came from the page, if it is genuine and new.
    pub(super) fn open(&mut self, bytes: &[u8], control: bool) -> Option<Vec<u8>> {
        let source = source(bytes, control)?;
        let known = self.proved.contains(&source);
        if !known && self.tried >= SOURCES {
            return None;
        }
        let (_, far) = self.contexts.as_mut()?;
        let opened = if control {
            far.decrypt_rtcp(bytes)
        } else {
            far.decrypt_rtp(bytes)
        };
        match opened {
            Ok(opened) => {
                self.proved.insert(source);
                Some(opened.to_vec())
            }
            Err(_) => {
                self.tried += usize::from(!known);
                None
            }
        }
    }

    /// Closes what goes to the page.
    pub(super) fn seal(&mut self, bytes: &[u8], control: bool) -> Option<Vec<u8>> {
        let (near, _) = self.contexts.as_mut()?;
        let sealed = if control {
            near.encrypt_rtcp(bytes)
        } else {
            near.encrypt_rtp(bytes)
        };
        sealed.ok().map(|sealed| sealed.to_vec())
    }

    fn complete(&mut self) {
        let Some(state) = self.endpoint.get_connection_state(THERE) else {
            return;
        };
        self.peer = state.peer_certificates.first().map(|der| fingerprint(der));
        self.contexts = contexts(state, &self.keys.provider);
    }
}

/// The handshake knows one peer: where it really is, ICE says.
const THERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn contexts(state: &State, provider: &Arc<dyn RTCCryptoProvider>) -> Option<(Context, Context)> {
    let profile = match state.srtp_protection_profile() {
        SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm => ProtectionProfile::AeadAes128Gcm,
        SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80 => {
            ProtectionProfile::Aes128CmHmacSha1_80
        }
        _ => return None,
    };
    let mut config = Config {
        profile,
        ..Config::default()
    };
    let length = config.keying_material_len();
    let material = state.export_keying_material(LABEL_EXTRACTOR_DTLS_SRTP, &[], length);
    let material = material.ok()?;
    config
        .set_session_keys_from_keying_material(material.as_ref(), false)
        .ok()?;
    let keys = &config.keys;
    let crypto = provider.crypto();
    let near = Context::new(
        &keys.local_master_key,
        &keys.local_master_salt,
        profile,
        None,
        None,
        crypto,
    );
    let far = Context::new(
        &keys.remote_master_key,
        &keys.remote_master_salt,
        profile,
        Some(srtp_replay_protection(WINDOW)),
        Some(srtcp_replay_protection(WINDOW)),
        crypto,
    );
    Some((near.ok()?, far.ok()?))
}

/// The SSRC of a packet.
fn source(bytes: &[u8], control: bool) -> Option<u32> {
    let at = if control { 4 } else { 8 };
    let four = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes(four.try_into().ok()?))
}

/// The value of `a=fingerprint` for a certificate.
pub(super) fn fingerprint(der: &[u8]) -> String {
    let digits = digest(&SHA256, der);
    let digits: Vec<String> = digits
        .as_ref()
        .iter()
        .map(|one| format!("{one:02X}"))
        .collect();
    format!("sha-256 {}", digits.join(":"))
}

/// Gives an RTP packet the payload number that the other side knows; false if it knows none.
pub(super) fn renumber(packet: &mut [u8], numbers: &Numbers) -> bool {
    let Some(second) = packet.get_mut(1) else {
        return false;
    };
    let Some(number) = numbers.turn(*second & 0x7f) else {
        return false;
    };
    *second = *second & 0x80 | number;
    true
}
