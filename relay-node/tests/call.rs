//! Calls between two phones over super nodes that are real processes; what the page's tests show with media.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[expect(dead_code, reason = "the other test uses the rest")]
#[path = "network/phone.rs"]
mod phone;
#[expect(dead_code, reason = "the other test uses the rest")]
#[path = "network/stage.rs"]
mod stage;

use std::time::Duration;

use p2psip::{CallId, EndReason, Event};
use phone::Phone;
use stage::Network;

/// Two phones online at different super nodes of three; the third carries nobody's association but records.
struct Pair {
    network: Network,
    alice: Phone,
    bob: Phone,
}

impl Pair {
    async fn online() -> Self {
        let network = tokio::task::spawn_blocking(|| Network::start(3))
            .await
            .unwrap();
        let (ws, login) = (network.websockets(), network.login());
        let mut alice = Phone::new(&login, &[&ws[0], &ws[1]]).await;
        alice.online().await;
        let mut bob = Phone::new(&login, &[&ws[2], &ws[1]]).await;
        alice.during(bob.online()).await;
        Self {
            network,
            alice,
            bob,
        }
    }

    /// Brings a call up to where both talk.
    async fn talk(&mut self) -> (CallId, CallId) {
        let (alice, bob) = (&mut self.alice, &mut self.bob);
        let call = alice.call(&bob.name).await;
        let (incoming, caller) = alice.during(bob.incoming()).await;
        assert_eq!(caller, format!("sip:{}@example.org", alice.name));
        bob.during(alice.until(|event| matches!(event, Event::Ringing { .. })))
            .await;
        let sdp = bob.sdp();
        bob.act(|peer, now| peer.answer(incoming, &sdp, now));
        let answered = bob
            .during(alice.until(|event| matches!(event, Event::Answered { .. })))
            .await;
        assert_eq!(
            answered,
            Event::Answered {
                call,
                answer: sdp,
                bridged: false
            }
        );
        alice
            .during(bob.until(|event| matches!(event, Event::Established { .. })))
            .await;
        (call, incoming)
    }
}

fn ended(event: &Event) -> bool {
    matches!(event, Event::Ended { .. })
}

#[tokio::test]
async fn r037_r054_r123_call_rings_is_answered_and_hung_up_from_either_side() {
    let mut pair = Pair::online().await;
    let (call, incoming) = pair.talk().await;
    pair.alice.act(|peer, now| peer.hang_up(call, now));
    let reason = EndReason::HungUp;
    let expected = Event::Ended {
        call: incoming,
        reason,
        remote: true,
    };
    let Pair { alice, bob, .. } = &mut pair;
    assert_eq!(alice.during(bob.until(ended)).await, expected);
    alice.until(ended).await;

    let (call, incoming) = pair.talk().await;
    pair.bob.act(|peer, now| peer.hang_up(incoming, now));
    let expected = Event::Ended {
        call,
        reason,
        remote: true,
    };
    let Pair { alice, bob, .. } = &mut pair;
    assert_eq!(bob.during(alice.until(ended)).await, expected);
}

#[tokio::test]
async fn r011_call_outlives_the_super_node_that_serves_the_callee() {
    let mut pair = Pair::online().await;
    let (call, incoming) = pair.talk().await;
    stage::kill(pair.network.pid(2));
    pair.alice.act(|peer, now| peer.hang_up(call, now));
    let Pair { alice, bob, .. } = &mut pair;
    let over = tokio::time::timeout(Duration::from_secs(2), alice.during(bob.until(ended))).await;
    let reason = EndReason::HungUp;
    assert_eq!(
        over.unwrap(),
        Event::Ended {
            call: incoming,
            reason,
            remote: true
        }
    );
}

#[tokio::test]
async fn r011_callee_is_called_again_after_his_super_node_was_killed() {
    let mut pair = Pair::online().await;
    stage::kill(pair.network.pid(2));
    let Pair { alice, bob, .. } = &mut pair;
    let waiting = tokio::time::sleep(Duration::from_secs(5));
    alice.during(bob.during(waiting)).await;
    pair.talk().await;
}

#[tokio::test]
async fn r104_r123_fourth_node_serves_a_caller_over_https() {
    let start = || {
        let network = Network::start(3);
        let fourth = network.join_over_https();
        (network, fourth)
    };
    let (network, fourth) = tokio::task::spawn_blocking(start).await.unwrap();
    let (ws, login) = (network.websockets(), network.login());
    let mut alice = Phone::new(&login, &[&fourth.websocket, &ws[0]]).await;
    alice.trust(&fourth.authority);
    alice.online().await;
    let mut bob = Phone::new(&login, &[&ws[2], &ws[1]]).await;
    alice.during(bob.online()).await;
    let mut pair = Pair {
        network,
        alice,
        bob,
    };
    // The others' clear-text nodes are gone for Alice: what she does goes by the fourth.
    stage::kill(pair.network.pid(0));
    pair.talk().await;
}

#[tokio::test]
async fn r054_unknown_user_is_not_found() {
    let mut pair = Pair::online().await;
    let call = pair.alice.call("nobody-of-this-name").await;
    let over = pair.alice.until(ended).await;
    assert!(
        matches!(over, Event::Ended { call: of, reason: EndReason::NotFound, .. } if of == call),
        "{over:?}"
    );
}
