//! ICE, the lite kind (RFC 8445, section 2.5): the bridge has an address that everybody reaches, so it only answers checks.

use std::net::SocketAddr;

use p2psip::Ice;
use stun_types::attribute::{Attribute as _, Username, XorMappedAddress};
use stun_types::message::{
    BINDING, IntegrityAlgorithm, Message, MessageClass, MessageIntegrityCredentials,
    MessageWrite as _, MessageWriteExt as _, MessageWriteVec, ShortTermCredentials,
};

/// Addresses of the page that are remembered.
const MOST: usize = 8;
/// USE-CANDIDATE (RFC 8445, section 16.1).
const USE_CANDIDATE: u16 = 0x0025;

/// The state of ICE towards a page.
#[derive(Debug)]
pub(super) struct Lite {
    ufrag: String,
    credentials: MessageIntegrityCredentials,
    /// Addresses that have shown that they know the password, the latest last.
    valid: Vec<SocketAddr>,
    chosen: Option<SocketAddr>,
}

impl Lite {
    pub(super) fn new(ice: &Ice) -> Self {
        Self {
            ufrag: ice.ufrag.clone(),
            credentials: ShortTermCredentials::new(ice.password.clone()).into(),
            valid: Vec::new(),
            chosen: None,
        }
    }

    /// Answers a check. Nothing, if whoever sent it does not know the password.
    pub(super) fn check(&mut self, from: SocketAddr, bytes: &[u8]) -> Option<Vec<u8>> {
        let request = Message::from_bytes(bytes).ok()?;
        if !request.has_class(MessageClass::Request) || !request.has_method(BINDING) {
            return None;
        }
        let named = request.attribute::<Username>().ok()?;
        let (own, _) = named.username().split_once(':')?;
        if own != self.ufrag || request.validate_integrity(&self.credentials).is_err() {
            return None;
        }
        if !self.valid.contains(&from) {
            if self.valid.len() >= MOST {
                self.valid.remove(0);
            }
            self.valid.push(from);
        }
        let wanted = request
            .iter_attributes()
            .any(|(_, attribute)| attribute.get_type().value() == USE_CANDIDATE);
        if wanted || self.chosen.is_none() {
            self.chosen = Some(from);
        }
        let mut answer = Message::builder_success(&request, MessageWriteVec::new());
        let mapped = XorMappedAddress::new(from, request.transaction_id());
        answer.add_attribute(&mapped).ok()?;
        answer
            .add_message_integrity(&self.credentials, IntegrityAlgorithm::Sha1)
            .ok()?;
        answer.add_fingerprint().ok()?;
        Some(answer.finish())
    }

    /// Says whether somebody at that address knows the password.
    pub(super) fn knows(&self, from: SocketAddr) -> bool {
        self.valid.contains(&from)
    }

    /// Where the page wants what is for it.
    pub(super) fn chosen(&self) -> Option<SocketAddr> {
        self.chosen
    }
}
