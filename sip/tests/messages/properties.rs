//! Properties over arbitrary messages and arbitrary bytes.

use proptest::prelude::*;
use sip::edge::Source;
use sip::header::{Address, CSeq, RAck, Reason, Via, elements, quote};
use sip::message::{Composer, Name, Rewrite};
use sip::sdp::Description;
use sip::{FlowId, Message, Uri};

use crate::edge::{INVITE, edge_with_bob};

fn token() -> impl Strategy<Value = String> {
    "[A-Za-z0-9.!%*_+`'~-]{1,12}"
}

prop_compose! {
    /// A request, and the values that its extension headers have.
    fn request()(
        user in "[a-z0-9]{1,8}", branch in "[A-Za-z0-9]{1,20}", tag in token(), call in "[!-~]{1,30}", number in 0..u32::MAX >> 1,
        display in "\\PC{0,20}", vias in 1..5_usize, routes in 0..4_usize, hops in proptest::option::of(0..256_u32),
        more in proptest::collection::vec((token(), "[ -~é]{0,30}"), 0..6), body in proptest::collection::vec(any::<u8>(), 0..200),
    ) -> (Message, Vec<(String, String)>) {
        let more: Vec<_> = more.into_iter().map(|(name, value)| (format!("X-{name}"), value)).collect();
        let mut composer = Composer::request("INVITE", &format!("sip:{user}@example.org"));
        let all: Vec<_> = (0..vias).map(|at| Via::write("WSS", "x.invalid", &format!("z9hG4bK{branch}{at}"))).collect();
        let routes: Vec<_> = (0..routes).map(|at| format!("<sip:r{at}.sn;lr>")).collect();
        composer = composer.header("Via", &all.join(", "));
        if !routes.is_empty() {
            composer = composer.header("Route", &routes.join(","));
        }
        if let Some(hops) = hops {
            composer = composer.number("Max-Forwards", hops);
        }
        composer = composer
            .header("From", &format!("{} <sip:alice@example.org>;tag={tag}", quote(&display)))
            .header("To", "<sip:bob@example.org>")
            .header("Call-ID", &call)
            .header("CSeq", &format!("{number} INVITE"));
        for (name, value) in &more {
            composer = composer.header(name, value);
        }
        let bytes = composer.body("application/octet-stream", &body);
        (Message::parse(bytes).unwrap(), more)
    }
}

fn values(message: &Message, name: Name) -> Vec<String> {
    message.list(name).map(String::from).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn written_messages_are_read_as_they_were_meant((message, more) in request()) {
        prop_assert_eq!(&Message::parse(message.as_bytes().to_vec()).unwrap(), &message);
        let fields: Vec<_> = message.all_fields().filter(|(name, _)| name.starts_with("X-")).collect();
        let expected: Vec<_> = more.iter().map(|(name, value)| (name.as_str(), value.trim_matches(' '))).collect();
        prop_assert_eq!(fields, expected);
    }

    #[test]
    fn rewriting_by_slices_equals_what_is_read_back((message, _) in request()) {
        let via = Via::write("QUIC", "me.sn", "z9hG4bKmine");
        let changed = Rewrite::new(&message).push_via(&via).pop_route().max_forwards(9).finish();
        let changed = Message::parse(changed).unwrap();
        let mut vias = vec![via];
        vias.extend(values(&message, Name::Via));
        prop_assert_eq!(values(&changed, Name::Via), vias);
        prop_assert_eq!(values(&changed, Name::Route), values(&message, Name::Route).into_iter().skip(1).collect::<Vec<_>>());
        prop_assert_eq!(changed.field(Name::MaxForwards), Some("9"));
        prop_assert_eq!(changed.body(), message.body());
        prop_assert_eq!((changed.from(), changed.cseq(), changed.call_id()), (message.from(), message.cseq(), message.call_id()));
        let back = Message::parse(Rewrite::new(&changed).pop_via().finish()).unwrap();
        prop_assert_eq!(values(&back, Name::Via), values(&message, Name::Via));
    }

    #[test]
    fn a35_arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Message::parse(bytes.clone());
        let mut edge = edge_with_bob();
        let _ = edge.receive(Source::Flow(FlowId(1)), &bytes, &mut Vec::new());
        edge.undeliverable(&bytes, &mut Vec::new());
    }

    #[test]
    fn a35_spoilt_messages_never_panic(at in 0..1000_usize, bytes in proptest::collection::vec(any::<u8>(), 0..8), cut in 0..8_usize) {
        let mut spoilt = INVITE.as_bytes().to_vec();
        let at = at % spoilt.len();
        let end = (at + cut).min(spoilt.len());
        spoilt.splice(at..end, bytes);
        if let Ok(message) = Message::parse(spoilt.clone()) {
            let again = Message::parse(message.as_bytes().to_vec());
            prop_assert_eq!(again.unwrap(), message);
        }
        let (mut edge, mut actions) = (edge_with_bob(), Vec::new());
        let _ = edge.receive(Source::Flow(FlowId(1)), &spoilt, &mut actions);
        prop_assert!(actions.len() <= 2, "no amplification");
    }

    #[test]
    fn a35_arbitrary_texts_never_panic(text in "\\PC{0,80}", like in "[ a-z0-9<>\";:,=@.%\\[\\]/\\\\?&-]{0,60}") {
        for text in [text, like] {
            let _ = (Via::read(&text), Address::read(&text), CSeq::read(&text), RAck::read(&text), Reason::read(&text));
            let _ = (elements(&text).count(), Description::read_fragment(&text));
            if let Ok(uri) = Uri::read(&format!("sip:{text}")) {
                let canonical = uri.address_of_record();
                prop_assert_eq!(Uri::read(&canonical).unwrap().address_of_record(), canonical);
            }
        }
    }
}
