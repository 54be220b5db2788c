//! A certificate authority out of rcgen and ring: everything in it is written by code that is not this crate's.

use credential::{
    Check, Instance, NodeId, OverlayId, PublicKey, Serial, Signature, TrustAnchor, profile,
};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
    SerialNumber, date_time_ymd,
};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, UnparsedPublicKey,
};

pub(crate) const OVERLAY: OverlayId = OverlayId([7; 16]);
pub(crate) const NODE: NodeId = NodeId([0xab; 20]);
pub(crate) const INSTANCE: Instance = Instance([0x5c; 16]);
/// 2026-06-01, between the dates of every certificate made here.
pub(crate) const WALL: u64 = 1_780_272_000_000;

pub(crate) struct Authority {
    pub(crate) anchor: TrustAnchor,
    pub(crate) root: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
    signer: EcdsaKeyPair,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let signer = signer(&key);
        let params = root();
        let root = params.self_signed(&key).unwrap().der().to_vec();
        Self {
            anchor: TrustAnchor::read(&root).unwrap(),
            root,
            issuer: Issuer::new(params, key),
            signer,
        }
    }

    pub(crate) fn issue(&self, params: &CertificateParams) -> Vec<u8> {
        self.issue_to(params, &KeyPair::generate().unwrap())
    }

    pub(crate) fn issue_to(&self, params: &CertificateParams, key: &KeyPair) -> Vec<u8> {
        params.signed_by(key, &self.issuer).unwrap().der().to_vec()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Signature {
        sign(&self.signer, message)
    }
}

pub(crate) fn signer(key: &KeyPair) -> EcdsaKeyPair {
    EcdsaKeyPair::from_pkcs8(
        &ECDSA_P256_SHA256_FIXED_SIGNING,
        &key.serialize_der(),
        &SystemRandom::new(),
    )
    .unwrap()
}

pub(crate) fn sign(key: &EcdsaKeyPair, message: &[u8]) -> Signature {
    let signature = key.sign(&SystemRandom::new(), message).unwrap();
    Signature::from_slice(signature.as_ref()).unwrap()
}

pub(crate) fn holds(check: &Check) -> bool {
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, check.key.to_point())
        .verify(&check.message, &check.signature.0)
        .is_ok()
}

pub(crate) fn public_key(key: &KeyPair) -> PublicKey {
    PublicKey::from_spki(&key.subject_public_key_info()).unwrap()
}

pub(crate) fn serial(last: u8) -> Serial {
    let mut serial = [1; 16];
    serial[15] = last;
    Serial(serial)
}

fn base(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params.serial_number = Some(SerialNumber::from_slice(&serial(9).0));
    params.custom_extensions = vec![overlay(OVERLAY)];
    params
}

pub(crate) fn overlay(id: OverlayId) -> CustomExtension {
    CustomExtension::from_oid_content(&profile::OVERLAY, id.0.to_vec())
}

pub(crate) fn root() -> CertificateParams {
    let mut params = base("an overlay");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

pub(crate) fn user() -> CertificateParams {
    let mut params = base("alice");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(profile::USER.to_vec())];
    params.subject_alt_names = vec![uri("sip:alice@example.org"), uri(&INSTANCE.to_string())];
    params
}

pub(crate) fn node() -> CertificateParams {
    let mut params = base("a node");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::Other(profile::SUPER_NODE.to_vec()),
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.subject_alt_names = vec![SanType::DnsName(NODE.host().try_into().unwrap())];
    params
}

pub(crate) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}
