//! Super nodes that lie to their ordinary nodes, as real processes in the place of honest ones.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[expect(dead_code, reason = "the other tests use the rest")]
#[path = "network/phone.rs"]
mod phone;
#[expect(dead_code, reason = "the other tests use the rest")]
#[path = "network/stage.rs"]
mod stage;

use std::time::Duration;

use p2psip::{EndReason, Event, Problem};
use phone::Phone;
use stage::{Guard, Network, evil};

/// Alice at two super nodes, of which `liars` lie; Bob at the third and, for his second association, at the first.
struct Stage {
    network: Network,
    _evil: Vec<Guard>,
    alice: Phone,
    bob: Phone,
}

impl Stage {
    async fn new(liars: &[usize], trick: &str) -> Self {
        let (liars, trick) = (liars.to_vec(), trick.to_owned());
        let start = move || {
            let network = Network::start(3);
            let swap = |index: &usize| network.replace(*index, |config| evil(config, &trick));
            let evil: Vec<_> = liars.iter().map(swap).collect();
            (network, evil)
        };
        let (network, evil) = tokio::task::spawn_blocking(start).await.unwrap();
        let ws = network.websockets();
        let mut alice = Phone::new(&network.login(), &[&ws[0], &ws[1]]).await;
        alice.online().await;
        let mut bob = Phone::new(&network.login(), &[&ws[2], &ws[1]]).await;
        alice.during(bob.online()).await;
        Self {
            network,
            _evil: evil,
            alice,
            bob,
        }
    }

    /// Alice calls Bob in vain.
    async fn refused(&mut self) -> EndReason {
        self.alice.call(&self.bob.name).await;
        let (alice, bob) = (&mut self.alice, &mut self.bob);
        let ended = |event: &Event| {
            assert!(
                !matches!(event, Event::Answered { .. }),
                "the answer was surfaced"
            );
            matches!(event, Event::Ended { .. })
        };
        match bob.during(alice.until(ended)).await {
            Event::Ended { reason, .. } => reason,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a14_r053_altered_record_is_refused() {
    let mut stage = Stage::new(&[0, 1], "altered-record").await;
    assert_eq!(stage.refused().await, EndReason::RecordRefused);
    stage.bob.sees_no_call().await;
}

#[tokio::test]
async fn a14_r053_valid_record_of_another_user_is_refused() {
    let mut stage = Stage::new(&[0, 1], "other-record").await;
    assert_eq!(stage.refused().await, EndReason::RecordRefused);
    stage.bob.sees_no_call().await;
}

#[tokio::test]
async fn a10_r117_rewritten_offer_does_not_ring() {
    let mut stage = Stage::new(&[1, 2], "offer").await;
    assert_eq!(stage.refused().await, EndReason::IdentityRefused);
    stage
        .bob
        .until(|event| *event == Event::Problem(Problem::Identity))
        .await;
    stage.bob.sees_no_call().await;
}

#[tokio::test]
async fn a10_r117_rewritten_answer_reaches_no_media() {
    let mut stage = Stage::new(&[0, 1], "answer").await;
    stage.alice.call(&stage.bob.name).await;
    let Stage { alice, bob, .. } = &mut stage;
    let (incoming, _) = alice.during(bob.incoming()).await;
    let sdp = bob.sdp();
    bob.act(|peer, now| peer.answer(incoming, &sdp, now));
    let ended = |event: &Event| {
        assert!(
            !matches!(event, Event::Answered { .. }),
            "the answer was surfaced"
        );
        matches!(event, Event::Ended { .. })
    };
    let ended = bob.during(alice.until(ended)).await;
    let reason = EndReason::MediaRefused;
    assert!(
        matches!(ended, Event::Ended { reason: of, .. } if of == reason),
        "{ended:?}"
    );
}

#[tokio::test]
async fn a14_r138_replayed_record_keeps_no_call_away() {
    // The liar knows Bob's first record and hands it out for good; he has since taken another key for his media.
    let mut stage = Stage::new(&[0], "old-record").await;
    let Stage { alice, bob, .. } = &mut stage;
    alice.act(|peer, now| peer.warm(&bob.name, now));
    bob.during(alice.pause(Duration::from_secs(1))).await;
    bob.change_fingerprint();
    // The new record is placed; what was warmed up serves a call for a few seconds only.
    bob.during(alice.pause(Duration::from_secs(12))).await;
    alice.call(&bob.name).await;
    let (incoming, _) = alice.during(bob.incoming()).await;
    let sdp = bob.sdp();
    bob.act(|peer, now| peer.answer(incoming, &sdp, now));
    let answered = bob
        .during(alice.until(|event| matches!(event, Event::Answered { .. })))
        .await;
    assert!(matches!(answered, Event::Answered { answer, .. } if answer == sdp));
    assert_eq!(stage.network.page(0).get("/readyz").status, 200);
}
