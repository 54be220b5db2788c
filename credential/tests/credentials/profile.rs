//! Certificates made by rcgen, read by the strict reader: the profile is accepted, everything beside it refused.

use crate::authority::{
    Authority, INSTANCE, NODE, OVERLAY, WALL, holds, node, overlay, public_key, serial, uri, user,
};
use credential::{
    Certificate, CertificateError, OverlayId, Refusal, RevocationList, Subject, TrustAnchor,
};
use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ED25519, SanType, SerialNumber, date_time_ymd,
};

fn admit(authority: &Authority, der: &[u8]) -> Result<bool, Refusal> {
    let certificate = Certificate::read(der).unwrap();
    let none = RevocationList::empty(OVERLAY);
    let check = authority.anchor.admit(&certificate, WALL, &none)?;
    Ok(holds(&check))
}

#[test]
fn user_is_read_and_admitted() {
    let authority = Authority::new();
    let key = KeyPair::generate().unwrap();
    let der = authority.issue_to(&user(), &key);
    let certificate = Certificate::read(&der).unwrap();
    assert_eq!(
        certificate.user(),
        Some(("sip:alice@example.org", INSTANCE))
    );
    assert_eq!(certificate.node(), None);
    assert_eq!(certificate.overlay(), OVERLAY);
    assert_eq!(certificate.serial(), serial(9));
    assert_eq!(certificate.public_key(), public_key(&key));
    assert_eq!(certificate.not_before(), 1_767_225_600_000);
    assert_eq!(certificate.not_after(), 1_798_761_600_000);
    assert_eq!(certificate.der(), der);
    assert_eq!(admit(&authority, &der), Ok(true));
    assert!(der.len() < 640, "{} bytes in every INVITE", der.len());
}

#[test]
fn names_of_a_user_come_in_either_order() {
    let authority = Authority::new();
    let mut params = user();
    params.subject_alt_names.reverse();
    assert_eq!(admit(&authority, &authority.issue(&params)), Ok(true));
}

#[test]
fn r077_a_delegated_certificate_is_told_from_a_users_own() {
    let authority = Authority::new();
    let own = Certificate::read(&authority.issue(&user())).unwrap();
    assert_eq!(own.registrar(), None);
    let mut params = user();
    let host = NODE.host();
    params
        .subject_alt_names
        .push(SanType::DnsName(host.try_into().unwrap()));
    let der = authority.issue(&params);
    let certificate = Certificate::read(&der).unwrap();
    assert_eq!(certificate.registrar(), Some(NODE));
    assert_eq!(
        certificate.user(),
        Some(("sip:alice@example.org", INSTANCE))
    );
    assert_eq!(certificate.node(), None, "it is no super node's");
    assert_eq!(admit(&authority, &der), Ok(true));
    let twice = SanType::DnsName(NODE.host().try_into().unwrap());
    params.subject_alt_names.push(twice);
    let refused = Certificate::read(&authority.issue(&params));
    assert_eq!(refused, Err(CertificateError::AltName));
    params.subject_alt_names.truncate(2);
    let other = SanType::DnsName("example.org".try_into().unwrap());
    params.subject_alt_names.push(other);
    let refused = Certificate::read(&authority.issue(&params));
    assert_eq!(refused, Err(CertificateError::AltName));
}

#[test]
fn super_node_is_read_and_admitted() {
    let authority = Authority::new();
    let der = authority.issue(&node());
    let certificate = Certificate::read(&der).unwrap();
    assert_eq!(*certificate.subject(), Subject::SuperNode { node: NODE });
    assert_eq!((certificate.node(), certificate.user()), (Some(NODE), None));
    assert_eq!(admit(&authority, &der), Ok(true));
}

#[test]
fn only_a_root_is_an_anchor() {
    let authority = Authority::new();
    assert_eq!(authority.anchor.overlay(), OVERLAY);
    let user = authority.issue(&user());
    assert_eq!(TrustAnchor::read(&user), Err(CertificateError::Role));
    assert_eq!(admit(&authority, &authority.root), Err(Refusal::Authority));
}

#[test]
fn a03_credential_of_another_authority_is_refused() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    assert_eq!(admit(&ours, &theirs.issue(&user())), Ok(false));

    let mut renamed = crate::authority::root();
    renamed.distinguished_name = user().distinguished_name;
    let key = KeyPair::generate().unwrap();
    let anchor = TrustAnchor::read(renamed.self_signed(&key).unwrap().der()).unwrap();
    let certificate = Certificate::read(&ours.issue(&user())).unwrap();
    let refused = anchor.admit(&certificate, WALL, &RevocationList::empty(OVERLAY));
    assert_eq!(refused, Err(Refusal::Issuer));
}

#[test]
fn a02_r018_credential_of_another_overlay_is_refused() {
    let authority = Authority::new();
    let mut params = user();
    params.custom_extensions = vec![overlay(OverlayId([8; 16]))];
    assert_eq!(
        admit(&authority, &authority.issue(&params)),
        Err(Refusal::Overlay)
    );
}

#[test]
fn a07_credential_counts_between_its_dates_only() {
    let authority = Authority::new();
    let certificate = Certificate::read(&authority.issue(&user())).unwrap();
    let none = RevocationList::empty(OVERLAY);
    let at = |wall| authority.anchor.admit(&certificate, wall, &none).err();
    assert_eq!(at(certificate.not_before() - 1), Some(Refusal::NotYetValid));
    assert_eq!(at(certificate.not_before()), None);
    assert_eq!(at(certificate.not_after()), None);
    assert_eq!(at(certificate.not_after() + 1), Some(Refusal::Expired));
}

#[test]
fn root_ends_too() {
    let mut brief = crate::authority::root();
    brief.not_after = date_time_ymd(2026, 2, 1);
    let key = KeyPair::generate().unwrap();
    let anchor = TrustAnchor::read(brief.self_signed(&key).unwrap().der()).unwrap();
    let certificate = Certificate::read(&Authority::new().issue(&user())).unwrap();
    let refused = anchor.admit(&certificate, WALL, &RevocationList::empty(OVERLAY));
    assert_eq!(refused, Err(Refusal::Expired));
}

#[test]
fn a02_revoked_credential_is_refused() {
    let authority = Authority::new();
    let certificate = Certificate::read(&authority.issue(&user())).unwrap();
    let serials = vec![serial(10), serial(9)];
    let list = RevocationList::new(OVERLAY, 1, WALL, serials).unwrap();
    let refused = authority.anchor.admit(&certificate, WALL, &list);
    assert_eq!(refused, Err(Refusal::Revoked));
}

#[test]
fn whatever_is_not_the_profile_is_refused() {
    use CertificateError as E;
    type Change = fn(&mut CertificateParams);
    let cases: [(&str, Change, E); 19] = [
        ("no overlay", |p| p.custom_extensions.clear(), E::Overlay),
        (
            "short overlay",
            |p| {
                p.custom_extensions[0] =
                    CustomExtension::from_oid_content(&credential::profile::OVERLAY, vec![7; 15])
            },
            E::Overlay,
        ),
        (
            "unknown extension",
            |p| {
                p.custom_extensions
                    .push(CustomExtension::from_oid_content(&[1, 2, 3], vec![5, 0]))
            },
            E::UnknownExtension,
        ),
        (
            "role's identifier as extension",
            |p| {
                p.custom_extensions.push(CustomExtension::from_oid_content(
                    &credential::profile::USER,
                    vec![5, 0],
                ))
            },
            E::UnknownExtension,
        ),
        (
            "overlay twice",
            |p| p.custom_extensions.push(overlay(OVERLAY)),
            E::DuplicateExtension,
        ),
        ("no role", |p| p.extended_key_usages.clear(), E::Role),
        (
            "both roles",
            |p| p.extended_key_usages.extend(node().extended_key_usages),
            E::Role,
        ),
        (
            "user that is a TLS server",
            |p| {
                p.extended_key_usages
                    .push(ExtendedKeyUsagePurpose::ServerAuth)
            },
            E::Role,
        ),
        (
            "foreign usage",
            |p| {
                p.extended_key_usages
                    .push(ExtendedKeyUsagePurpose::CodeSigning)
            },
            E::Role,
        ),
        ("no key usage", |p| p.key_usages.clear(), E::KeyUsage),
        (
            "user that signs certificates",
            |p| p.key_usages.push(KeyUsagePurpose::KeyCertSign),
            E::KeyUsage,
        ),
        (
            "user that is an authority",
            |p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
            E::Constraints,
        ),
        ("no names", |p| p.subject_alt_names.clear(), E::AltName),
        (
            "no instance",
            |p| {
                p.subject_alt_names.pop();
            },
            E::AltName,
        ),
        (
            "third name",
            |p| p.subject_alt_names.push(uri("sip:bob@example.org")),
            E::AltName,
        ),
        (
            "host not in lower case",
            |p| p.subject_alt_names[0] = uri("sip:alice@Example.org"),
            E::AltName,
        ),
        (
            "parameter in the URI",
            |p| p.subject_alt_names[0] = uri("sip:alice@example.org:5060"),
            E::AltName,
        ),
        (
            "node's name on a user",
            |p| p.subject_alt_names = vec![SanType::DnsName(NODE.host().try_into().unwrap())],
            E::AltName,
        ),
        (
            "short serial",
            |p| p.serial_number = Some(SerialNumber::from_slice(&[1; 15])),
            E::Serial,
        ),
    ];
    let authority = Authority::new();
    for (what, change, error) in cases {
        let mut params = user();
        change(&mut params);
        let read = Certificate::read(&authority.issue(&params));
        assert_eq!(read, Err(error), "{what}");
    }
}

#[test]
fn whatever_is_no_super_node_of_the_profile_is_refused() {
    type Change = fn(&mut CertificateParams);
    let cases: [(Change, CertificateError); 4] = [
        (
            |p| {
                p.extended_key_usages.pop();
            },
            CertificateError::Role,
        ),
        (
            |p| p.extended_key_usages = user().extended_key_usages,
            CertificateError::AltName,
        ),
        (
            |p| p.subject_alt_names = vec![SanType::DnsName("example.org".try_into().unwrap())],
            CertificateError::AltName,
        ),
        (
            |p| {
                p.subject_alt_names = vec![SanType::DnsName(
                    NODE.host().to_uppercase().try_into().unwrap(),
                )]
            },
            CertificateError::AltName,
        ),
    ];
    let authority = Authority::new();
    for (change, error) in cases {
        let mut params = node();
        change(&mut params);
        assert_eq!(Certificate::read(&authority.issue(&params)), Err(error));
    }
}

#[test]
fn key_of_another_kind_is_refused() {
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let der = Authority::new().issue_to(&user(), &key);
    assert_eq!(Certificate::read(&der), Err(CertificateError::Key));
    let own = user().self_signed(&key).unwrap();
    assert_eq!(
        Certificate::read(own.der()),
        Err(CertificateError::Algorithm)
    );
}

#[test]
fn endless_certificate_is_refused() {
    let error = Certificate::read(&vec![0x30; credential::profile::MAXIMUM + 1]);
    assert_eq!(error, Err(CertificateError::TooLarge));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Certificate::read(&bytes).is_err());
    }

    /// Changing a certificate anywhere makes it unreadable, or breaks its signature.
    #[test]
    fn every_changed_byte_is_noticed(place in any::<prop::sample::Index>(), change in 1_u8..) {
        thread_local!(static ISSUED: (Authority, Vec<u8>) = {
            let authority = Authority::new();
            let der = authority.issue(&user());
            (authority, der)
        });
        ISSUED.with(|(authority, der)| {
            let mut altered = der.clone();
            let place = place.index(altered.len());
            altered[place] ^= change;
            if let Ok(certificate) = Certificate::read(&altered) {
                let none = RevocationList::empty(OVERLAY);
                if let Ok(check) = authority.anchor.admit(&certificate, WALL, &none) {
                    prop_assert!(!holds(&check), "byte {place}");
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn every_cut_is_noticed(length in any::<prop::sample::Index>()) {
        let der = Authority::new().issue(&node());
        prop_assert!(Certificate::read(&der[..length.index(der.len())]).is_err());
    }
}
