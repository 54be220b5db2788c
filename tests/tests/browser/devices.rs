//! Callers without a microphone, or whose browser keeps it closed.

use tests::{Instrument, Kind, Network, Page, turn, unique};

async fn devices_fail(failure: &'static str, code: &str, words: &str) {
    let _turn = turn().await;
    let network = Network::start(2).await;
    let (first, second) = (network.page(0), network.page(1));
    let (alice, bob) = tokio::join!(
        Page::open_with(Kind::Chromium, &first, Instrument::silent(failure)),
        Page::open(Kind::Chromium, &second, 660.0)
    );
    let name = unique("bob");
    bob.create_account(&name).await;
    alice.guest().await;
    alice.dial(&name).await;
    alice.ends(code, words).await;
    assert_ne!(bob.state().await, "in-call");

    // The other way round it is the callee who has none: he learns why, and the caller is not left waiting.
    bob.reach(&["ready", "ended"]).await;
    bob.dial(&alice.uri().await).await;
    alice.answer().await;
    alice.ends(code, words).await;
    bob.reach(&["ended"]).await;
    alice.quiet(&[]).await;
    bob.quiet(&[]).await;
    tokio::join!(alice.quit(), bob.quit());
}

#[tokio::test]
async fn a_missing_microphone_is_told() {
    devices_fail("NotFoundError", "no-microphone", "No microphone was found").await;
}

#[tokio::test]
async fn a_refused_permission_is_told() {
    devices_fail(
        "NotAllowedError",
        "permission-refused",
        "keeps the microphone or camera closed",
    )
    .await;
}
