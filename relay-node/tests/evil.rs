//! Super nodes that lie to their ordinary nodes, as real processes in the place of honest ones.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[expect(dead_code, reason = "the other tests use the rest")]
#[path = "network/phone.rs"]
mod phone;
#[expect(dead_code, reason = "the other tests use the rest")]
#[path = "network/stage.rs"]
mod stage;

use p2psip::{EndReason, Event, Problem};
use phone::Phone;
use stage::{Guard, Network};

/// Alice and Bob at super nodes of which some lie.
struct Stage {
    network: Network,
    _evil: Vec<Guard>,
    alice: Phone,
    bob: Phone,
}

impl Stage {
    /// Of so many super nodes the first ones lie. Where all do, no truth comes to the victim's help by another path.
    async fn new(super_nodes: usize, liars: usize, lie: &'static str) -> Self {
        let start = move || {
            let network = Network::start(super_nodes);
            let evil: Vec<_> = (0..liars).map(|at| network.corrupt(at, lie)).collect();
            (network, evil)
        };
        let (network, evil) = tokio::task::spawn_blocking(start).await.unwrap();
        let ws = network.websockets();
        let ws: Vec<&str> = ws.iter().map(String::as_str).collect();
        let mut alice = Phone::new(&network.login(), &ws[..ws.len().min(2)]).await;
        alice.online().await;
        // Bob's calls come by the last one, for as long as it is there.
        let last: Vec<&str> = ws.iter().rev().copied().take(2).collect();
        let mut bob = Phone::new(&network.login(), &last).await;
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
    let mut stage = Stage::new(1, 1, "altered-record").await;
    assert_eq!(stage.refused().await, EndReason::RecordRefused);
    stage.bob.sees_no_call().await;
}

#[tokio::test]
async fn a14_r053_valid_record_of_another_user_is_refused() {
    let mut stage = Stage::new(1, 1, "others-record").await;
    assert_eq!(stage.refused().await, EndReason::RecordRefused);
    stage.bob.sees_no_call().await;
}

#[tokio::test]
async fn a10_r117_rewritten_offer_does_not_ring() {
    let mut stage = Stage::new(3, 3, "offer").await;
    assert_eq!(stage.refused().await, EndReason::IdentityRefused);
    stage
        .bob
        .until(|event| *event == Event::Problem(Problem::Identity))
        .await;
    stage.bob.sees_no_call().await;
}

#[tokio::test]
async fn a10_r117_rewritten_answer_reaches_no_media() {
    let mut stage = Stage::new(3, 3, "answer").await;
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
    // One of Alice's two super nodes hands out Bob's first record for good; he has since been away, and come again with
    // another key for his media.
    let mut stage = Stage::new(3, 1, "old-record").await;
    let Stage { alice, bob, .. } = &mut stage;
    alice.during(bob.offline()).await;
    bob.change_fingerprint();
    alice.during(bob.online()).await;
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
