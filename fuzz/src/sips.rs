//! SIP, SDP and STUN.

use sip::header::Address;
use sip::sdp::Description;
use sip::{Message, Uri};

pub(crate) fn message(bytes: &[u8]) {
    let Ok(message) = Message::parse(bytes.to_vec()) else {
        return;
    };
    let plain = message.as_bytes().to_vec();
    let again = Message::parse(plain.clone()).expect("what was understood can be read again");
    assert_eq!(again.as_bytes(), plain, "every element reads it alike");
    assert_eq!(
        (again.method_text(), again.status()),
        (message.method_text(), message.status())
    );
}

pub(crate) fn uri(bytes: &[u8]) {
    let Ok(text) = core::str::from_utf8(bytes) else {
        return;
    };
    let _ = Uri::read(text);
    let _ = Address::read(text);
    let _ = sip::header::Via::read(text);
}

pub(crate) fn description(bytes: &[u8]) {
    if let Ok(text) = core::str::from_utf8(bytes) {
        let _ = Description::read(text);
        let _ = Description::read_fragment(text);
    }
}

pub(crate) fn stun(bytes: &[u8]) {
    let _ = turn::Message::read(bytes);
}
