//! What rcgen is told so that it writes the certificates of [`credential::profile`].

use credential::{Instance, NodeId, OverlayId, PublicKey, Serial, profile};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType,
    SerialNumber, SignatureAlgorithm,
};
use time::OffsetDateTime;

const HOUR: u64 = 60 * 60 * 1_000;
const YEAR: u64 = 365 * 24 * HOUR;
/// How long a root lasts. Its key can't be exchanged without a new overlay.
const ROOT: u64 = 20 * YEAR;

pub(super) fn root(overlay: OverlayId, serial: Serial, now: u64) -> CertificateParams {
    let mut params = of(overlay, &format!("Partyline {overlay}"));
    params.serial_number = Some(SerialNumber::from_slice(&serial.0));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    validity(&mut params, now, now.saturating_add(ROOT));
    params
}

pub(super) fn user(
    overlay: OverlayId,
    uri: &str,
    instance: Instance,
    registrar: Option<NodeId>,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = of(overlay, "user");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(profile::USER.to_vec())];
    params.subject_alt_names = vec![
        SanType::URI(uri.try_into()?),
        SanType::URI(instance.to_string().try_into()?),
    ];
    if let Some(node) = registrar {
        let name = SanType::DnsName(node.host().try_into()?);
        params.subject_alt_names.push(name);
    }
    Ok(params)
}

pub(super) fn super_node(
    overlay: OverlayId,
    node: NodeId,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = of(overlay, "super node");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::Other(profile::SUPER_NODE.to_vec()),
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.subject_alt_names = vec![SanType::DnsName(node.host().try_into()?)];
    Ok(params)
}

/// Dates a certificate back by an hour, for readers whose clocks are slow. X.509 counts in seconds.
pub(super) fn validity(params: &mut CertificateParams, now: u64, not_after: u64) {
    params.not_before = date(now.saturating_sub(HOUR));
    params.not_after = date(not_after);
}

/// The subject's key, as rcgen wants it.
pub(super) struct Subject([u8; 65]);

impl Subject {
    pub(super) fn new(key: PublicKey) -> Self {
        Self(key.to_point())
    }
}

impl PublicKeyData for Subject {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

/// What every certificate has: the overlay, and a name that nobody compares (so it stays short).
fn of(overlay: OverlayId, name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.custom_extensions = vec![CustomExtension::from_oid_content(
        &profile::OVERLAY,
        overlay.0.to_vec(),
    )];
    params
}

fn date(milliseconds: u64) -> OffsetDateTime {
    i64::try_from(milliseconds / 1_000)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
