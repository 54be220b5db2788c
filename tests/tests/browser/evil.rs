//! A super node that lies: each lie is refused before any media, and the page says the right sentence.

use crate::stage::Stage;
use tests::{Kind, Lie, Network, PATIENCE, Page};

/// Tells a lie, lets Alice call Bob, and sees how her call ends; nothing of the other side reaches her media.
async fn refused(lie: Lie, code: &str, words: &str) {
    let (stage, evil) = Stage::set_at_evil_node().await;
    evil.tell(lie);
    stage.alice.dial(&stage.bob_name).await;
    if lie == Lie::Answer {
        stage.bob.answer().await;
    }
    stage.alice.ends(code, words).await;
    assert!(
        !stage.alice.negotiated().await,
        "no description of the other side may reach the caller's media"
    );

    // The same two, told the truth, can talk: it was the lie that was refused.
    evil.tell(Lie::None);
    stage.connect().await;
    stage.bob.hears(&stage.alice).await;
    stage.alice.hang_up().await;
    stage.bob.ends("hung-up", "The call has ended").await;
    stage.close(&[]).await;
}

#[tokio::test]
async fn r053_an_altered_record_is_refused() {
    refused(Lie::AlteredRecord, "record-refused", "isn’t the one that").await;
}

#[tokio::test]
async fn r138_another_users_record_is_refused() {
    refused(Lie::OthersRecord, "record-refused", "isn’t the one that").await;
}

#[tokio::test]
async fn r117_an_offer_with_other_keys_is_refused() {
    refused(
        Lie::Offer,
        "identity-refused",
        "couldn’t prove who is calling",
    )
    .await;
}

#[tokio::test]
async fn r117_an_answer_with_other_keys_is_refused() {
    refused(Lie::Answer, "media-refused", "changed this call’s keys").await;
}

#[tokio::test]
async fn r130_an_old_record_leads_nowhere() {
    let (stage, evil) = Stage::set_at_evil_node().await;
    stage.connect().await;
    stage.alice.hang_up().await;
    stage.bob.ends("hung-up", "The call has ended").await;

    // Bob has signed off, which the super node conceals: it hands out the record of when he was there.
    stage.bob.sign_out().await;
    evil.tell(Lie::OldRecord);
    stage.alice.dial(&stage.bob_name).await;
    stage.alice.ends("offline", "is not online").await;
    stage.close(&[]).await;
}

#[tokio::test]
async fn r138_an_old_record_keeps_no_call_away() {
    let (stage, evil) = Stage::set_at_evil_node().await;
    // Bob comes again, at another device; the super node still hands out the record of the one that he has left.
    stage.bob.sign_out().await;
    let bob = Page::open(Kind::Chromium, &stage.network.page(0), 880.0).await;
    bob.sign_in(&stage.bob_name).await;
    evil.tell(Lie::OldRecord);
    stage.alice.dial(&stage.bob_name).await;
    bob.answer().await;
    bob.hears(&stage.alice).await;
    stage.alice.hang_up().await;
    bob.ends("hung-up", "The call has ended").await;
    bob.quiet(&[]).await;
    bob.quit().await;
    stage.close(&[]).await;
}

#[tokio::test]
async fn a02_r018_a_super_node_of_another_overlay_is_refused_in_words() {
    let (stage, evil) = Stage::set_at_evil_node().await;
    let other = Network::start(1).await;
    evil.borrow(&other, 0);
    evil.tell(Lie::Certificate);
    let bob = &stage.bob;
    bob.reload().await;
    bob.shows("problem", "super-node-refused", PATIENCE).await;
    let told = bob.text("#toast-text").await;
    assert!(told.contains("couldn’t prove that it belongs"), "{told}");
    assert_ne!(bob.state().await, "ready");

    // Nothing was lost: told the truth, both are there again.
    evil.tell(Lie::None);
    for page in [&stage.alice, bob] {
        page.reload().await;
        page.reach(&["ready"]).await;
    }
    stage.connect().await;
    stage.close(&[]).await;
}

#[tokio::test]
async fn garbage_from_a_super_node_harms_no_page() {
    let (stage, evil) = Stage::set_at_evil_node().await;
    evil.tell(Lie::Garbage);
    stage.alice.dial(&stage.bob_name).await;
    stage
        .alice
        .reach(&["calling", "ended", "in-call", "reconnecting"])
        .await;
    evil.tell(Lie::None);
    for page in [&stage.alice, &stage.bob] {
        page.reload().await;
        page.reach(&["ready"]).await;
    }
    stage.connect().await;
    stage.close(&[]).await;
}
