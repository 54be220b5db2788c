//! Overlay frames, records, credentials.

use credential::{Certificate, MemberStatement, OverlayId, RevocationList};
use overlay::association::{FromOrdinary, FromSuperNode};
use overlay::peer::Message;
use overlay::{SignedRecord, frame as envelope};
use p2psip::{ProxyLocation, UserLocation};

/// The overlay of the vectors.
const OVERLAY: OverlayId = OverlayId([0x11; 16]);
const WALL: u64 = 1_780_272_000_000;

/// What was understood is said again and understood alike.
macro_rules! holds_for {
    ($message:ty, $frame:expr) => {
        if let Ok(message) = envelope::decode::<$message>(OVERLAY, $frame) {
            let again = envelope::encode(OVERLAY, &message);
            assert_eq!(envelope::decode::<$message>(OVERLAY, &again), Ok(message));
        }
    };
}

fn enveloped(message: &[u8]) -> Vec<u8> {
    [&[envelope::VERSION], &OVERLAY.0[..], message].concat()
}

pub(crate) fn frame(bytes: &[u8]) {
    let said = envelope::overlay(bytes);
    if envelope::decode::<Message>(OVERLAY, bytes).is_ok() {
        assert_eq!(said, Some(OVERLAY));
    }
    holds_for!(FromOrdinary, bytes);
    holds_for!(FromSuperNode, bytes);
    holds_for!(Message, bytes);
}

pub(crate) fn from_ordinary(message: &[u8]) {
    holds_for!(FromOrdinary, &enveloped(message));
}

pub(crate) fn from_super_node(message: &[u8]) {
    holds_for!(FromSuperNode, &enveloped(message));
}

pub(crate) fn link(message: &[u8]) {
    holds_for!(Message, &enveloped(message));
}

pub(crate) fn record(bytes: &[u8]) {
    let Ok((record, _)) = postcard::take_from_bytes::<SignedRecord>(bytes) else {
        return;
    };
    let again = postcard::to_allocvec(&record).expect("a record can be written");
    assert_eq!(postcard::from_bytes(&again).as_ref(), Ok(&record));
    let judged = record.check(OVERLAY, WALL);
    if record.control.overlay != OVERLAY {
        assert!(judged.is_err(), "another overlay's record counts");
    }
    if let Ok(certificate) = Certificate::read(&record.certificate) {
        let _ = record.check_writer(&certificate);
    }
    let _ = record.message();
}

pub(crate) fn certificate(bytes: &[u8]) {
    if let Ok(certificate) = Certificate::read(bytes) {
        assert_eq!(certificate.der(), bytes, "every byte of it was looked at");
        assert!(certificate.not_before() <= certificate.not_after());
    }
}

pub(crate) fn statement(bytes: &[u8]) {
    if let Some(statement) = MemberStatement::read(bytes) {
        assert_eq!(statement.to_bytes(), bytes);
    }
}

pub(crate) fn revocations(bytes: &[u8]) {
    if let Some(list) = RevocationList::read(bytes) {
        assert_eq!(list.to_bytes(), bytes);
        assert!(list.serials().iter().all(|serial| list.contains(*serial)));
    }
}

pub(crate) fn location(bytes: &[u8]) {
    if let Ok(location) = UserLocation::read(bytes) {
        assert_eq!(UserLocation::read(&location.to_bytes()), Ok(location));
    }
    if let Ok(location) = ProxyLocation::read(bytes) {
        assert_eq!(ProxyLocation::read(&location.to_bytes()), Ok(location));
    }
}
