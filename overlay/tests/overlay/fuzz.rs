//! Bytes that nobody should send. Whatever they are, nothing panics and honest nodes are served.

use overlay::association::{FromOrdinary, FromSuperNode};
use overlay::peer::Message;
use overlay::{OrdinaryInput, SignedRecord, SuperNodeInput, frame};
use proptest::collection::vec;
use proptest::prelude::*;
use sim::HostId;

use crate::node::Node;
use crate::raw::node;
use crate::world::{World, key};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..600)) {
        let overlay = credential::OverlayId([7; 16]);
        let _ = frame::decode::<FromOrdinary>(overlay, &bytes);
        let _ = frame::decode::<FromSuperNode>(overlay, &bytes);
        let _ = frame::decode::<Message>(overlay, &bytes);
        let _ = frame::overlay(&bytes);
        let mut framed = vec![1];
        framed.extend(overlay.0);
        framed.extend(&bytes);
        // Whatever postcard understands is understood the same.
        if let Ok((message, [])) = postcard::take_from_bytes::<FromOrdinary>(&bytes) {
            prop_assert_eq!(frame::decode(overlay, &framed), Ok(message));
        }
        if let Ok((message, [])) = postcard::take_from_bytes::<FromSuperNode>(&bytes) {
            prop_assert_eq!(frame::decode(overlay, &framed), Ok(message));
        }
        // What was understood can be said again.
        if let Ok(message) = frame::decode::<Message>(overlay, &framed) {
            let again = frame::decode::<Message>(overlay, &frame::encode(overlay, &message));
            prop_assert_eq!(again, Ok(message));
        }
    }

    #[test]
    fn any_record_is_judged(bytes in vec(any::<u8>(), 0..400), wall in any::<u64>()) {
        if let Ok(record) = postcard::from_bytes::<SignedRecord>(&bytes) {
            let _ = record.check(credential::OverlayId([7; 16]), wall);
            let _ = record.message();
        }
    }
}

/// What the machines say to each other in an ordinary run, as seed for what comes next.
fn conversation(world: &mut World) -> (HostId, Vec<Vec<u8>>) {
    world.network.keep_log();
    world.grow(4);
    let alice = world.user("alice", &[0, 1]);
    world.update(alice, key("k"), b"here").unwrap();
    world.get(alice, key("nobody")).unwrap_err();
    world.remove(alice, key("k"), None).unwrap();
    let frames = world.network.take_log().into_iter();
    let frames = frames
        .map(|traffic| traffic.payload)
        .filter(|bytes| bytes.len() > 17);
    (alice, frames.collect())
}

#[test]
fn a09_altered_frames_of_a_true_conversation_do_no_harm() {
    let mut world = World::new(111);
    let (alice, frames) = conversation(&mut world);
    let identity = world.authority.super_node(node(9));
    let peer = world.raw_peer(&identity, 0);
    let user = world.authority.user("sip:mallory@example.org", 1);
    let user = world.raw_user(&user, 0);
    let mut rng = machine::Rng::new([3; 32]);
    for round in 0..4_000 {
        let mut frame = frames[rng.below(frames.len() as u32) as usize].clone();
        let end = frame.len() as u32;
        match rng.below(4) {
            0 => frame.truncate(rng.below(end) as usize),
            1 => frame[rng.below(end) as usize] ^= 1 << rng.below(8),
            2 => frame[17 + rng.below(end - 17) as usize] = rng.number() as u8,
            _ => {}
        }
        let target = world.super_nodes[0];
        for link in [peer.connection.0, user.connection.0] {
            let frame = frame.clone();
            world.network.with(target, |node, now| {
                let Node::Sn(sn) = node else { return };
                let link = overlay::LinkId(link);
                let input = SuperNodeInput::Frame { link, frame };
                machine::Machine::handle_input(&mut sn.machine, input, now);
                sn.drain(now);
            });
        }
        let links: Vec<_> = world
            .on(alice)
            .machine
            .associations()
            .map(|(link, ..)| link)
            .collect();
        world.network.with(alice, |node, now| {
            let Node::On(on) = node else { return };
            for link in links {
                let frame = frame.clone();
                let input = OrdinaryInput::Frame { link, frame };
                machine::Machine::handle_input(&mut on.machine, input, now);
                on.drain(now);
            }
        });
        if round % 50 == 0 {
            world.network.run_for(core::time::Duration::from_millis(20));
        }
    }
    world.network.run_for(core::time::Duration::from_secs(5));
    let bob = world.user("bob", &[0, 1]);
    world.update(bob, key("after"), b"all is well").unwrap();
    assert_eq!(
        world.bodies(bob, key("after")),
        Ok(vec![b"all is well".to_vec()])
    );
    for &id in &world.super_nodes {
        assert_eq!(world.sn(id).machine.members().count(), 4);
    }
}
