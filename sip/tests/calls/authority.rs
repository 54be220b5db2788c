//! A certificate authority and users' keys out of rcgen and ring.

use credential::{
    Instance, PublicKey, Sign, Signature, Signed, TrustAnchor, Verified, Verify, profile,
};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
    date_time_ymd,
};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, UnparsedPublicKey,
};

/// 2026-06-01, between the dates of every certificate made here.
pub(crate) const WALL: u64 = 1_780_272_000_000;

pub(crate) struct Authority {
    pub(crate) anchor: TrustAnchor,
    issuer: Issuer<'static, KeyPair>,
    overlay: [u8; 16],
}

pub(crate) struct User {
    pub(crate) uri: String,
    pub(crate) instance: Instance,
    pub(crate) certificate: Vec<u8>,
    key: EcdsaKeyPair,
}

impl Authority {
    pub(crate) fn new(overlay: u8) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = base("an overlay", [overlay; 16]);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let root = params.self_signed(&key).unwrap().der().to_vec();
        Self {
            anchor: TrustAnchor::read(&root).unwrap(),
            issuer: Issuer::new(params, key),
            overlay: [overlay; 16],
        }
    }

    pub(crate) fn user(&self, uri: &str, instance: u8) -> User {
        self.user_until(uri, instance, 2027)
    }

    pub(crate) fn user_until(&self, uri: &str, instance: u8, year: i32) -> User {
        let instance = Instance([instance; 16]);
        let mut params = base(uri, self.overlay);
        params.not_after = date_time_ymd(year, 1, 1);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(profile::USER.to_vec())];
        let name = |text: &str| SanType::URI(text.try_into().unwrap());
        params.subject_alt_names = vec![name(uri), name(&instance.to_string())];
        let key = KeyPair::generate().unwrap();
        let random = SystemRandom::new();
        User {
            uri: uri.into(),
            instance,
            certificate: params.signed_by(&key, &self.issuer).unwrap().der().to_vec(),
            key: EcdsaKeyPair::from_pkcs8(
                &ECDSA_P256_SHA256_FIXED_SIGNING,
                &key.serialize_der(),
                &random,
            )
            .unwrap(),
        }
    }
}

impl User {
    pub(crate) fn sign(&self, sign: &Sign) -> Signed {
        let signature = self.key.sign(&SystemRandom::new(), &sign.message).unwrap();
        Signed {
            job: sign.job,
            signature: Signature::from_slice(signature.as_ref()).unwrap(),
        }
    }
}

pub(crate) fn verify(verify: &Verify) -> Verified {
    Verified {
        job: verify.job,
        valid: holds(&verify.key, &verify.message, &verify.signature),
    }
}

pub(crate) fn holds(key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.to_point());
    key.verify(message, &signature.0).is_ok()
}

fn base(name: &str, overlay: [u8; 16]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "an overlay");
    params
        .distinguished_name
        .push(DnType::OrganizationName, name);
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params.serial_number = Some(SerialNumber::from_slice(&[9; 16]));
    params.custom_extensions = vec![CustomExtension::from_oid_content(
        &profile::OVERLAY,
        overlay.to_vec(),
    )];
    params
}
