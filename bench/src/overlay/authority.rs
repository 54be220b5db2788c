//! Certificates of the real profile. Signatures in the run are free, so everybody may have the same key.

use std::sync::Arc;

use anyhow::Context as _;
use credential::{
    Certificate, Instance, MemberStatement, NodeId, OverlayId, PublicKey, RevocationList, Serial,
    Signature, TrustAnchor, profile,
};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType,
    SerialNumber,
};

/// When every run begins: 2026-06-01.
pub(super) const WALL: u64 = 1_780_272_000_000;
pub(super) const OVERLAY: OverlayId = OverlayId([7; 16]);

pub(super) struct Authority {
    pub(super) anchor: TrustAnchor,
    issuer: Issuer<'static, KeyPair>,
    key: KeyPair,
    public: PublicKey,
    issued: u64,
}

/// A super node's papers.
#[derive(Clone)]
pub(super) struct Papers {
    pub(super) certificate: Certificate,
    pub(super) der: Arc<[u8]>,
    pub(super) statement: MemberStatement,
}

impl Authority {
    pub(super) fn new() -> anyhow::Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = base("an overlay", 0);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let root = params.self_signed(&key)?.der().to_vec();
        let public = PublicKey::from_spki(&key.subject_public_key_info()).context("a P-256 key")?;
        Ok(Self {
            anchor: TrustAnchor::read(&root).context("the root is of the profile")?,
            issuer: Issuer::new(params, KeyPair::from_pem(&key.serialize_pem())?),
            key,
            public,
            issued: 0,
        })
    }

    pub(super) fn overlay(&self) -> OverlayId {
        OVERLAY
    }

    pub(super) fn revocations(&self) -> RevocationList {
        RevocationList::empty(OVERLAY)
    }

    fn issue(&mut self, mut params: CertificateParams) -> anyhow::Result<Certificate> {
        self.issued += 1;
        params.serial_number = Some(SerialNumber::from_slice(&serial(self.issued).0));
        let der = params.signed_by(&self.key, &self.issuer)?.der().to_vec();
        Certificate::read(&der).context("the certificate is of the profile")
    }

    pub(super) fn super_node(&mut self, node: NodeId) -> anyhow::Result<Papers> {
        let mut params = base("a node", 0);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::Other(profile::SUPER_NODE.to_vec()),
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.subject_alt_names = vec![SanType::DnsName(node.host().try_into()?)];
        let certificate = self.issue(params)?;
        let statement = MemberStatement {
            node,
            serial: certificate.serial(),
            key: self.public,
            not_after: certificate.not_after(),
            signature: Signature([0; 64]),
        };
        Ok(Papers {
            der: certificate.der().into(),
            certificate,
            statement,
        })
    }

    pub(super) fn user(&mut self, name: &str) -> anyhow::Result<Certificate> {
        let uri = format!("sip:{name}@example.org");
        let mut params = base(&uri, 0);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(profile::USER.to_vec())];
        let instance = Instance([9; 16]).to_string();
        params.subject_alt_names = vec![
            SanType::URI(uri.as_str().try_into()?),
            SanType::URI(instance.as_str().try_into()?),
        ];
        self.issue(params)
    }
}

fn serial(number: u64) -> Serial {
    let mut serial = [1; 16];
    serial[8..].copy_from_slice(&number.to_be_bytes());
    Serial(serial)
}

fn base(name: &str, number: u64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 1, 1);
    params.serial_number = Some(SerialNumber::from_slice(&serial(number).0));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let extension = CustomExtension::from_oid_content(&profile::OVERLAY, OVERLAY.0.to_vec());
    params.custom_extensions = vec![extension];
    params
}
