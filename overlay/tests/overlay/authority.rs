//! A certificate authority and the keys of everybody, out of rcgen and ring.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use credential::{
    Certificate, Instance, MemberStatement, NodeId, OverlayId, PublicKey, RevocationList, Serial,
    Sign, Signature, Signed, TrustAnchor, Verified, Verify, profile,
};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
    SerialNumber,
};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, UnparsedPublicKey,
};

/// When every simulation begins: 2026-06-01.
pub(crate) const WALL: u64 = 1_780_272_000_000;

/// Somebody who holds a key and a certificate.
pub(crate) struct Identity {
    pub(crate) certificate: Certificate,
    pub(crate) statement: Option<MemberStatement>,
    key: EcdsaKeyPair,
    public: PublicKey,
    /// Signs by a hash instead, so that a run depends on nothing but its seed.
    pub(crate) quick: bool,
}

pub(crate) struct Authority {
    pub(crate) anchor: TrustAnchor,
    issuer: Issuer<'static, KeyPair>,
    key: EcdsaKeyPair,
}

impl Authority {
    pub(crate) fn new(overlay: u8) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = base(OverlayId([overlay; 16]), "an overlay", serial());
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let root = params.self_signed(&key).unwrap().der().to_vec();
        Self {
            anchor: TrustAnchor::read(&root).unwrap(),
            key: signer(&key),
            issuer: Issuer::new(params, key),
        }
    }

    pub(crate) fn overlay(&self) -> OverlayId {
        self.anchor.overlay()
    }

    pub(crate) fn user(&self, uri: &str, instance: u8) -> Identity {
        self.user_until(uri, instance, Duration::from_secs(7 * 86_400))
    }

    /// A user whose certificate ends so long after the simulation's beginning.
    pub(crate) fn user_until(&self, uri: &str, instance: u8, lasts: Duration) -> Identity {
        let mut params = base(self.overlay(), uri, serial());
        let end = std::time::UNIX_EPOCH + Duration::from_millis(WALL) + lasts;
        params.not_after = end.into();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(profile::USER.to_vec())];
        let instance = Instance([instance; 16]).to_string();
        params.subject_alt_names = [uri, &instance]
            .map(|name| SanType::URI(name.try_into().unwrap()))
            .to_vec();
        self.identity(params, None)
    }

    pub(crate) fn super_node(&self, node: NodeId) -> Identity {
        self.super_node_until(node, Duration::from_secs(30 * 86_400))
    }

    /// A super node whose certificate ends so long after the simulation's beginning.
    pub(crate) fn super_node_until(&self, node: NodeId, lasts: Duration) -> Identity {
        let mut params = base(self.overlay(), "a node", serial());
        let end = std::time::UNIX_EPOCH + Duration::from_millis(WALL) + lasts;
        params.not_after = end.into();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::Other(profile::SUPER_NODE.to_vec()),
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.subject_alt_names = vec![SanType::DnsName(node.host().try_into().unwrap())];
        self.identity(params, Some(node))
    }

    fn identity(&self, params: CertificateParams, node: Option<NodeId>) -> Identity {
        let key = KeyPair::generate().unwrap();
        let der = params.signed_by(&key, &self.issuer).unwrap().der().to_vec();
        let certificate = Certificate::read(&der).unwrap();
        let public = PublicKey::from_spki(&key.subject_public_key_info()).unwrap();
        let statement = node.map(|node| {
            let mut statement = MemberStatement {
                node,
                serial: certificate.serial(),
                key: public,
                not_after: certificate.not_after(),
                signature: Signature([0; 64]),
            };
            statement.signature = sign(&self.key, &statement.message(self.overlay()));
            statement
        });
        Identity {
            certificate,
            statement,
            key: signer(&key),
            public,
            quick: false,
        }
    }

    pub(crate) fn revoke(&self, number: u64, serials: Vec<Serial>) -> RevocationList {
        let list = RevocationList::new(self.overlay(), number, WALL, serials).unwrap();
        let signature = sign(&self.key, &list.message());
        list.signed(signature)
    }
}

impl Identity {
    pub(crate) fn sign(&self, message: &[u8]) -> Signature {
        if self.quick {
            return quick(self.public, message);
        }
        sign(&self.key, message)
    }

    pub(crate) fn signed(&self, request: &Sign) -> Signed {
        Signed {
            job: request.job,
            signature: self.sign(&request.message),
        }
    }
}

/// Checks a signature as a driver would. The answers are remembered: the same certificate comes often.
pub(crate) struct Verifier;

thread_local! {
    /// All nodes of a test share it: what one has verified holds for the next.
    static KNOWN: RefCell<BTreeMap<Vec<u8>, bool>> = RefCell::default();
}

impl Verifier {
    pub(crate) fn verified(&mut self, request: &Verify) -> Verified {
        let Verify {
            job,
            key,
            message,
            signature,
        } = request;
        let name = [&key.0[..], &signature.0, message].concat();
        let name = digest(&SHA256, &name).as_ref().to_vec();
        let valid = KNOWN.with_borrow_mut(|known| {
            *known.entry(name).or_insert_with(|| {
                quick(*key, message) == *signature
                    || UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.to_point())
                        .verify(message, &signature.0)
                        .is_ok()
            })
        });
        Verified { job: *job, valid }
    }
}

/// Stands in for a signature where a run must be repeatable: ECDSA as ring makes it is different every time.
fn quick(key: PublicKey, message: &[u8]) -> Signature {
    let hash = digest(&SHA256, &[&key.0[..], message].concat());
    let mut signature = [0x51; 64];
    signature[..32].copy_from_slice(hash.as_ref());
    Signature(signature)
}

fn signer(key: &KeyPair) -> EcdsaKeyPair {
    EcdsaKeyPair::from_pkcs8(
        &ECDSA_P256_SHA256_FIXED_SIGNING,
        &key.serialize_der(),
        &SystemRandom::new(),
    )
    .unwrap()
}

fn sign(key: &EcdsaKeyPair, message: &[u8]) -> Signature {
    let signature = key.sign(&SystemRandom::new(), message).unwrap();
    Signature::from_slice(signature.as_ref()).unwrap()
}

fn serial() -> Serial {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut serial = [1; 16];
    serial[8..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    Serial(serial)
}

fn base(overlay: OverlayId, name: &str, serial: Serial) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 1, 1);
    params.serial_number = Some(SerialNumber::from_slice(&serial.0));
    let extension = CustomExtension::from_oid_content(&profile::OVERLAY, overlay.0.to_vec());
    params.custom_extensions = vec![extension];
    params
}
