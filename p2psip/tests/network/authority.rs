//! A login server's authority, out of rcgen and ring.

use p2psip::credential::{
    Certificate, Instance, MemberStatement, NodeId, OverlayId, PublicKey, RevocationList, Serial,
    Sign, Signature, Signed, TrustAnchor, Verified, Verify, profile,
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

/// 2026-06-01, the date at which every world begins.
pub(crate) const WALL: u64 = 1_780_272_000_000;

pub(crate) struct Authority {
    pub(crate) anchor: TrustAnchor,
    issuer: Issuer<'static, KeyPair>,
    key: Key,
    overlay: OverlayId,
    issued: u8,
}

/// A key pair that answers what machines ask of their drivers.
pub(crate) struct Key {
    pair: EcdsaKeyPair,
}

impl Key {
    fn of(key: &KeyPair) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = key.serialize_der();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8, &random);
        Self {
            pair: pair.unwrap(),
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Signature {
        let signature = self.pair.sign(&SystemRandom::new(), message).unwrap();
        Signature::from_slice(signature.as_ref()).unwrap()
    }

    pub(crate) fn answer(&self, sign: &Sign) -> Signed {
        Signed {
            job: sign.job,
            signature: self.sign(&sign.message),
        }
    }
}

pub(crate) fn check(verify: &Verify) -> Verified {
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, verify.key.to_point());
    Verified {
        job: verify.job,
        valid: key.verify(&verify.message, &verify.signature.0).is_ok(),
    }
}

impl Authority {
    pub(crate) fn new(overlay: OverlayId) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = base("an overlay", 1, overlay);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let root = params.self_signed(&key).unwrap();
        Self {
            anchor: TrustAnchor::read(root.der()).unwrap(),
            key: Key::of(&key),
            issuer: Issuer::new(params, key),
            overlay,
            issued: 1,
        }
    }

    /// A user's certificate, which ends on the day before the world begins if it is to be `stale`.
    pub(crate) fn user(
        &mut self,
        uri: &str,
        instance: Instance,
        stale: bool,
    ) -> (Certificate, Key) {
        let mut params = self.base(uri);
        if stale {
            params.not_after = date_time_ymd(2026, 5, 31);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(profile::USER.to_vec())];
        params.subject_alt_names = [uri, &instance.to_string()]
            .map(|name| SanType::URI(name.try_into().unwrap()))
            .to_vec();
        let (certificate, key, _) = self.issue(&params);
        (certificate, key)
    }

    pub(crate) fn node(&mut self, node: NodeId) -> (Certificate, Key, MemberStatement) {
        let mut params = self.base("a node");
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::Other(profile::SUPER_NODE.to_vec()),
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.subject_alt_names = vec![SanType::DnsName(node.host().try_into().unwrap())];
        let (certificate, key, public) = self.issue(&params);
        let mut statement = MemberStatement {
            node,
            serial: certificate.serial(),
            key: public,
            not_after: certificate.not_after(),
            signature: Signature([0; 64]),
        };
        statement.signature = self.key.sign(&statement.message(self.overlay));
        (certificate, key, statement)
    }

    pub(crate) fn revoke(&self, certificate: &Certificate) -> RevocationList {
        let serials = vec![certificate.serial()];
        let list = RevocationList::new(self.overlay, 1, WALL, serials).unwrap();
        let signature = self.key.sign(&list.message());
        list.signed(signature)
    }

    fn base(&mut self, name: &str) -> CertificateParams {
        self.issued += 1;
        let mut params = base(name, self.issued, self.overlay);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params
    }

    fn issue(&self, params: &CertificateParams) -> (Certificate, Key, PublicKey) {
        let key = KeyPair::generate().unwrap();
        let der = params.signed_by(&key, &self.issuer).unwrap();
        let public = PublicKey::from_spki(&key.subject_public_key_info()).unwrap();
        (Certificate::read(der.der()).unwrap(), Key::of(&key), public)
    }
}

fn base(name: &str, serial: u8, overlay: OverlayId) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    let serial = Serial([serial; 16]);
    params.serial_number = Some(SerialNumber::from_slice(&serial.0));
    params.custom_extensions = vec![CustomExtension::from_oid_content(
        &profile::OVERLAY,
        overlay.0.to_vec(),
    )];
    params
}
