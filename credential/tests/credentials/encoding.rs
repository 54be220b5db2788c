//! Signatures, keys, statements and lists: written, read back, and refused when anything is off.

use crate::authority::{Authority, NODE, OVERLAY, WALL, holds, public_key, serial};
use credential::{
    Check, Instance, MemberStatement, NodeId, OverlayId, PublicKey, Refusal, RevocationList,
    Serial, Signature,
};
use proptest::prelude::*;
use rcgen::KeyPair;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

fn statement(authority: &Authority, key: &KeyPair) -> MemberStatement {
    let mut statement = MemberStatement {
        node: NODE,
        serial: serial(3),
        key: public_key(key),
        not_after: WALL + 1,
        signature: Signature([0; 64]),
    };
    statement.signature = authority.sign(&statement.message(OVERLAY));
    statement
}

#[test]
fn der_form_of_a_signature_is_the_one_of_other_libraries() {
    let authority = Authority::new();
    for _ in 0..50 {
        let signature = authority.sign(b"message");
        let der = signature.to_der();
        assert_eq!(Signature::from_der(&der), Some(signature));
        let point = authority.anchor.public_key().to_point();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point)
            .verify(b"message", &der)
            .unwrap();
    }
}

#[test]
fn signature_that_is_not_minimal_der_is_refused() {
    let mut raw = [0; 64];
    raw[31] = 1;
    raw[63] = 0x80;
    let der = Signature(raw).to_der();
    assert_eq!(der, [0x30, 7, 2, 1, 1, 2, 2, 0, 0x80]);
    for bad in [
        &[0x30, 7, 2, 1, 1, 2, 2, 0, 0x80, 0][..],
        &[0x30, 6, 2, 1, 1, 2, 1, 0x80],
        &[0x30, 8, 2, 2, 0, 1, 2, 2, 0, 0x80],
        &[0x30, 3, 2, 1, 1],
        &[0x31, 6, 2, 1, 1, 2, 1, 1],
        &[],
    ] {
        assert_eq!(Signature::from_der(bad), None, "{bad:02x?}");
    }
    let mut long = vec![0x30, 0x26, 2, 0x21];
    long.extend([1; 33]);
    long.extend([2, 1, 1]);
    assert_eq!(Signature::from_der(&long), None);
}

#[test]
fn compressed_keys_unfold_to_what_they_were() {
    for _ in 0..40 {
        let key = public_key(&KeyPair::generate().unwrap());
        assert_eq!(PublicKey::from_compressed(&key.compressed()), Some(key));
        assert_eq!(PublicKey::from_spki(&key.to_spki()), Some(key));
        assert_eq!(PublicKey::from_point(&key.to_point()), Some(key));
    }
    assert_eq!(PublicKey::from_compressed(&[4; 33]), None);
}

#[test]
fn statement_is_small_and_admitted() {
    let authority = Authority::new();
    let statement = statement(&authority, &KeyPair::generate().unwrap());
    let bytes = statement.to_bytes();
    assert!(bytes.len() <= 150);
    assert_eq!(bytes[..21], [&[1][..], &NODE.0].concat());
    assert_eq!(bytes[70..78], (WALL + 1).to_be_bytes());
    let read = MemberStatement::read(&bytes).unwrap();
    assert_eq!(read, statement);

    let none = RevocationList::empty(OVERLAY);
    let admit = |wall, list: &RevocationList| authority.anchor.admit_member(&read, wall, list);
    assert!(holds(&admit(WALL, &none).unwrap()));
    assert_eq!(admit(WALL + 2, &none), Err(Refusal::Expired));
    let list = RevocationList::new(OVERLAY, 1, WALL, vec![serial(3)]).unwrap();
    assert_eq!(admit(WALL, &list), Err(Refusal::Revoked));
}

#[test]
fn r018_statement_does_not_hold_in_another_overlay() {
    let authority = Authority::new();
    let statement = statement(&authority, &KeyPair::generate().unwrap());
    let check = Check {
        key: authority.anchor.public_key(),
        message: statement.message(OverlayId([8; 16])),
        signature: statement.signature,
    };
    assert!(!holds(&check));
}

#[test]
fn revocation_list_is_written_as_documented() {
    let authority = Authority::new();
    let serials = vec![serial(2), serial(1), serial(2)];
    let list = RevocationList::new(OVERLAY, 5, WALL, serials).unwrap();
    let list = list.clone().signed(authority.sign(&list.message()));
    let bytes = list.to_bytes();
    let expected = [
        &[1][..],
        &OVERLAY.0,
        &5_u64.to_be_bytes(),
        &WALL.to_be_bytes(),
        &2_u16.to_be_bytes(),
        &serial(1).0,
        &serial(2).0,
    ]
    .concat();
    assert_eq!(bytes[..67], expected);
    let read = RevocationList::read(&bytes).unwrap();
    assert_eq!(read, list);
    assert!(holds(&authority.anchor.admit_revocations(&read).unwrap()));
    assert_eq!((read.number(), read.issued()), (5, WALL));
    assert!(read.contains(serial(1)) && !read.contains(serial(3)));

    let foreign = RevocationList::empty(OverlayId([8; 16]));
    assert_eq!(
        authority.anchor.admit_revocations(&foreign),
        Err(Refusal::Overlay)
    );
}

#[test]
fn revocation_list_in_disorder_is_refused() {
    let list = RevocationList::new(OVERLAY, 5, WALL, vec![serial(1), serial(2)]).unwrap();
    let bytes = list.to_bytes();
    let mut swapped = bytes.clone();
    swapped[35..51].copy_from_slice(&bytes[51..67]);
    assert_eq!(RevocationList::read(&swapped), None, "twice");
    swapped[51..67].copy_from_slice(&bytes[35..51]);
    assert_eq!(RevocationList::read(&swapped), None, "falling");
    for (place, value) in [(0, 2), (34, 3), (34, 1), (33, 0xff)] {
        let mut altered = bytes.clone();
        altered[place] = value;
        assert_eq!(RevocationList::read(&altered), None, "byte {place}");
    }
    let many = (0..=2048_u16).map(|number| {
        let mut serial = [1; 16];
        serial[..2].copy_from_slice(&number.to_be_bytes());
        Serial(serial)
    });
    assert_eq!(RevocationList::new(OVERLAY, 1, WALL, many.collect()), None);
}

#[test]
fn serde_form_is_the_bare_bytes() {
    let node = NodeId([9; 20]);
    assert_eq!(postcard::to_allocvec(&node).unwrap(), node.0);
    assert_eq!(postcard::from_bytes::<NodeId>(&node.0), Ok(node));
    assert!(postcard::from_bytes::<NodeId>(&node.0[1..]).is_err());
    let signature = Signature([3; 64]);
    assert_eq!(postcard::to_allocvec(&signature).unwrap(), signature.0);
    let statement = statement(&Authority::new(), &KeyPair::generate().unwrap());
    let bytes = postcard::to_allocvec(&statement).unwrap();
    assert_eq!(bytes, statement.to_bytes());
    assert_eq!(postcard::from_bytes(&bytes), Ok(statement));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Signature::from_der(&bytes);
        let _ = PublicKey::from_spki(&bytes);
        let _ = MemberStatement::read(&bytes);
        if let Some(list) = RevocationList::read(&bytes) {
            prop_assert_eq!(list.to_bytes(), bytes);
        }
    }

    #[test]
    fn signature_survives_der(raw in prop::array::uniform32(any::<u8>()), zeros in 0_usize..33) {
        let mut both = [0; 64];
        both[zeros..32].copy_from_slice(&raw[zeros..]);
        both[32..].copy_from_slice(&raw);
        let signature = Signature(both);
        prop_assert_eq!(Signature::from_der(&signature.to_der()), Some(signature));
    }

    #[test]
    fn read_der_is_the_only_der(bytes in prop::collection::vec(any::<u8>(), 8..80)) {
        let mut der = vec![0x30, bytes.len() as u8];
        der.extend(&bytes);
        if let Some(signature) = Signature::from_der(&der) {
            prop_assert_eq!(signature.to_der(), der);
        }
    }

    #[test]
    fn every_changed_bit_of_a_statement_is_noticed(bit in 0_usize..142 * 8) {
        thread_local!(static ISSUED: (Authority, [u8; 142]) = {
            let authority = Authority::new();
            let bytes = statement(&authority, &KeyPair::generate().unwrap()).to_bytes();
            (authority, bytes)
        });
        ISSUED.with(|(authority, bytes)| {
            let mut altered = *bytes;
            altered[bit / 8] ^= 1 << (bit % 8);
            if let Some(statement) = MemberStatement::read(&altered) {
                let check = Check {
                    key: authority.anchor.public_key(),
                    message: statement.message(OVERLAY),
                    signature: statement.signature,
                };
                prop_assert!(!holds(&check));
            }
            Ok(())
        })?;
    }

    #[test]
    fn instance_text_survives(bytes in prop::array::uniform16(any::<u8>())) {
        let instance = Instance(bytes);
        prop_assert_eq!(instance.to_string().parse(), Ok(instance));
    }

    #[test]
    fn canonical_uris_are_plain(text in "\\PC{0,40}") {
        if credential::profile::is_canonical(&text) {
            prop_assert!(text.is_ascii() && text.starts_with("sip:"));
            prop_assert!(!text.contains([' ', '%', '"', '<', ':']) || text.matches(':').count() == 1);
        }
    }
}
