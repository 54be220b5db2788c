//! The vectors of `docs/protocol.md`, byte for byte.

use credential::{
    Certificate, Challenge, Instance, MemberStatement, NodeId, OverlayId, PublicKey,
    RevocationList, Role, Serial, Signature,
};

const OVERLAY: OverlayId = OverlayId([0x11; 16]);
const NODE: NodeId = NodeId([0x22; 20]);
const SERIAL: Serial = Serial([7; 16]);
const TIME: u64 = 1_780_272_000_000;
const SIGNATURE: Signature = Signature([0x55; 64]);

fn vector(name: &str) -> Vec<u8> {
    let page = include_str!("../../../docs/protocol.md");
    let start = format!("```vector credential/{name}\n");
    let block = page.split_once(&start).unwrap().1;
    let digits = block.split_once("```").unwrap().0.replace('\n', "");
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

/// The generator of P-256 (SEC 2, 2.4.2).
fn key() -> PublicKey {
    Certificate::read(&vector("certificate"))
        .unwrap()
        .public_key()
}

#[test]
fn r108_certificate_is_read_as_documented() {
    let certificate = Certificate::read(&vector("certificate")).unwrap();
    assert_eq!(certificate.overlay(), OVERLAY);
    assert_eq!(certificate.serial(), SERIAL);
    assert_eq!(
        certificate.user(),
        Some(("sip:alice@example.org", Instance([0x44; 16])))
    );
    assert_eq!(certificate.not_after(), TIME + 604_800_000);
    assert_eq!(
        key().compressed()[..5],
        [0x03, 0x6b, 0x17, 0xd1, 0xf2],
        "the generator's ordinate is odd"
    );
}

#[test]
fn r126_member_statement_is_as_documented() {
    let statement = MemberStatement {
        node: NODE,
        serial: SERIAL,
        key: key(),
        not_after: TIME,
        signature: SIGNATURE,
    };
    assert_eq!(statement.message(OVERLAY), vector("statement-signed"));
    assert_eq!(statement.to_bytes().to_vec(), vector("statement"));
    assert_eq!(MemberStatement::read(&vector("statement")), Some(statement));
}

#[test]
fn r126_revocation_list_is_as_documented() {
    let serials = vec![Serial([3; 16]), Serial([2; 16])];
    let list = RevocationList::new(OVERLAY, 9, TIME, serials).unwrap();
    assert_eq!(list.message(), vector("revocations-signed"));
    let list = list.signed(SIGNATURE);
    assert_eq!(list.to_bytes(), vector("revocations"));
    assert_eq!(RevocationList::read(&vector("revocations")), Some(list));
}

#[test]
fn r108_challenge_is_as_documented() {
    let challenge = Challenge {
        overlay: OVERLAY,
        ordinary: &[0x66; 32],
        super_node: &[0x88; 32],
        node: NODE,
        host: "SN1.example.org",
    };
    for (role, name) in [
        (Role::OrdinaryNode, "challenge-ordinary"),
        (Role::SuperNode, "challenge-super-node"),
    ] {
        assert_eq!(challenge.message(role), Some(vector(name)));
    }
}
