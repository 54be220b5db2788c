//! Calls that go by relays, which super nodes name to their users.

use crate::stage::Stage;
use std::time::Duration;
use tests::Kind::{self, Chromium};
use tests::{PATIENCE, Page, until};

/// When the relay of a call is lost, another one carries it within this time.
const HEARD_AGAIN: Duration = Duration::from_secs(5);

/// Bob hides his address; neither page was told of any relay by anybody but its super nodes.
async fn call_of_somebody_who_hides(alice: Kind, bob: Kind) {
    let stage = Stage::set_with_relays(alice, bob).await;
    let Stage { alice, bob, .. } = &stage;
    bob.hide().await;
    stage.connect().await;
    bob.shows("path", "relayed", PATIENCE).await;
    alice.shows("path", "relayed", PATIENCE).await;
    alice.hears(bob).await;
    bob.hears(alice).await;
    until("a picture by the relay", PATIENCE, async || {
        let stats = alice.stats().await;
        match &stats {
            Some(stats) if stats.frames > 10 && stats.remote == "relay" => Ok(()),
            _ => Err(format!("{stats:?}")),
        }
    })
    .await;
    alice.hang_up().await;
    bob.ends("hung-up", "The call has ended").await;
    stage.close(&[]).await;
}

#[tokio::test]
async fn r113_r131_chromium_hides_its_address_behind_a_relay() {
    call_of_somebody_who_hides(Chromium, Chromium).await;
}

/// The relay of the call, as the address that Bob's browser knows it by.
async fn relay_of(bob: &Page) -> Option<String> {
    let script = "
        const done = arguments[0];
        const peer = partylineTest.peers.findLast(({ connectionState }) => connectionState === 'connected');
        if (!peer) done(null);
        else peer.getStats().then((report) => {
            const transport = [...report.values()].find(({ selectedCandidatePairId }) => selectedCandidatePairId);
            const pair = report.get(transport?.selectedCandidatePairId);
            done(report.get(pair?.localCandidateId)?.url ?? null);
        }, () => done(null));";
    let answer = bob
        .browser
        .driver
        .execute_async(script, vec![])
        .await
        .ok()?;
    let url = answer.json().as_str()?;
    let address = url.split(':').skip(1).collect::<Vec<_>>().join(":");
    Some(address.split('?').next()?.to_owned())
}

/// Bob's call goes by a relay, whose super node dies: the call goes on by another one.
#[tokio::test]
async fn r116_a_call_outlives_its_relay() {
    let stage = Stage::set_with_relays(Chromium, Chromium).await;
    let Stage {
        alice,
        bob,
        network,
        ..
    } = &stage;
    bob.hide().await;
    stage.connect().await;
    bob.shows("path", "relayed", PATIENCE).await;
    alice.hears(bob).await;
    let first = relay_of(bob).await.expect("Bob's browser names its relay");
    let runs_it = network.super_nodes().into_iter().position(|node| {
        let text = std::fs::read_to_string(&node.config).expect("the node's file");
        text.contains(&format!("stun = \"{first}\""))
    });
    tokio::join!(alice.listen(), bob.listen());
    network.kill(runs_it.unwrap_or_else(|| panic!("no super node relays at {first}")));
    let second = until("another relay", PATIENCE, async || {
        let now = relay_of(bob).await;
        now.clone().filter(|now| *now != first).ok_or(now)
    })
    .await;
    assert_ne!(first, second);
    for (page, other) in [(alice, bob), (bob, alice)] {
        page.reach(&["in-call"]).await;
        page.hears(other).await;
        let silence = page.silence().await;
        assert!(silence < HEARD_AGAIN, "no sound for {silence:?}");
    }
    bob.shows("path", "relayed", PATIENCE).await;
    alice.hang_up().await;
    bob.ends("hung-up", "The call has ended").await;
}
