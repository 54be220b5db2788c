use alloc::vec::Vec;

use credential::NodeId;

/// A certificate of the profile that nobody has signed for real.
pub(crate) fn certificate(uri: &str, registrar: Option<NodeId>) -> Vec<u8> {
    use rcgen::{
        CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
        SanType,
    };
    let mut params = CertificateParams::default();
    params.serial_number = Some(rcgen::SerialNumber::from_slice(&[1; 16]));
    params.custom_extensions = alloc::vec![CustomExtension::from_oid_content(
        &credential::profile::OVERLAY,
        [7; 16].to_vec(),
    )];
    params.key_usages = alloc::vec![KeyUsagePurpose::DigitalSignature];
    let user = credential::profile::USER.to_vec();
    params.extended_key_usages = alloc::vec![ExtendedKeyUsagePurpose::Other(user)];
    let instance = registrar.map_or(credential::Instance([5; 16]), credential::Instance::of_node);
    params.subject_alt_names = alloc::vec![
        SanType::URI(uri.try_into().unwrap()),
        SanType::URI(instance.urn().as_str().try_into().unwrap()),
    ];
    if let Some(node) = registrar {
        let host = node.host();
        params
            .subject_alt_names
            .push(SanType::DnsName(host.as_str().try_into().unwrap()));
    }
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().to_vec()
}
