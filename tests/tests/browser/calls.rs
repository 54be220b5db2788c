//! Calls between two browsers, and the ways in which they end.

use crate::stage::Stage;
use std::time::Duration;
use tests::Kind::{self, Chromium, Firefox};
use tests::{PATIENCE, Page, unique};

async fn call_with_sound_and_picture(caller: Kind, callee: Kind) {
    let stage = Stage::set(caller, callee).await;
    let Stage { alice, bob, .. } = &stage;
    stage.connect().await;

    alice.hears(bob).await;
    bob.hears(alice).await;
    alice.sees().await;
    bob.sees().await;
    assert!(alice.text("#peer-name").await.contains(&stage.bob_name));
    assert_eq!(
        alice.attribute("#peer-verified", "data-verified").await,
        "true"
    );
    assert_eq!(
        bob.attribute("#peer-verified", "data-verified").await,
        "true"
    );

    alice.hang_up().await;
    bob.ends("hung-up", "The call has ended").await;
    alice.ends("hung-up", "The call has ended").await;
    stage.close(&[]).await;
}

#[tokio::test]
async fn r037_r055_chromium_calls_chromium_at_another_super_node() {
    call_with_sound_and_picture(Chromium, Chromium).await;
}

#[tokio::test]
async fn r055_r112_chromium_calls_firefox() {
    call_with_sound_and_picture(Chromium, Firefox).await;
}

#[tokio::test]
async fn r055_firefox_calls_chromium() {
    call_with_sound_and_picture(Firefox, Chromium).await;
}

#[tokio::test]
async fn r054_the_callee_hangs_up() {
    let stage = Stage::set(Chromium, Chromium).await;
    stage.connect().await;
    stage.bob.hang_up().await;
    stage.alice.ends("hung-up", "The call has ended").await;
    stage.bob.ends("hung-up", "The call has ended").await;

    // The same two can call again at once, the other way round.
    stage.bob.dial(&stage.alice.uri().await).await;
    stage.alice.answer().await;
    stage.bob.hears(&stage.alice).await;
    stage.bob.hang_up().await;
    stage.alice.ends("hung-up", "The call has ended").await;
    stage.close(&[]).await;
}

#[tokio::test]
async fn r054_a_call_is_declined() {
    let stage = Stage::set(Chromium, Chromium).await;
    stage.alice.dial(&stage.bob_name).await;
    stage.bob.reach(&["ringing"]).await;
    stage.bob.click("#decline").await;
    stage.alice.ends("declined", "declined the call").await;
    stage.bob.ends("declined", "You declined the call").await;
    assert!(
        !stage.alice.negotiated().await,
        "the caller got no answer, so it has no remote description"
    );
    stage.close(&[]).await;
}

#[tokio::test]
async fn r054_the_caller_gives_up() {
    let stage = Stage::set(Chromium, Chromium).await;
    stage.alice.dial(&stage.bob_name).await;
    stage.bob.reach(&["ringing"]).await;
    stage.alice.hang_up().await;
    stage
        .alice
        .ends("cancelled", "You cancelled the call")
        .await;
    stage.bob.ends("cancelled", "You missed a call").await;
    stage.close(&[]).await;
}

#[tokio::test]
async fn r054_a_third_caller_finds_the_line_busy() {
    let stage = Stage::set(Chromium, Chromium).await;
    stage.connect().await;
    let carol = Page::open(Chromium, &stage.network.page(2), 880.0).await;
    carol.guest().await;
    carol.dial(&stage.bob_name).await;
    carol.ends("busy", "is in another call").await;
    assert_eq!(stage.bob.state().await, "in-call");
    stage.bob.hears(&stage.alice).await;
    carol.quiet(&[]).await;
    carol.quit().await;
    stage.close(&[]).await;
}

#[tokio::test]
async fn r024_an_unknown_name_is_told() {
    let stage = Stage::set(Chromium, Chromium).await;
    stage.alice.dial(&unique("nobody")).await;
    stage.alice.ends("not-found", "Nobody here is called").await;
    stage.close(&[]).await;
}

#[tokio::test]
async fn r049_who_signed_off_is_offline() {
    let stage = Stage::set(Chromium, Chromium).await;
    let name = stage.bob_name.clone();
    stage.bob.sign_out().await;
    stage.alice.dial(&name).await;
    stage.alice.ends("offline", "is not online").await;
    stage.close(&[]).await;
}

#[tokio::test]
async fn r054_who_closed_the_browser_is_offline() {
    let stage = Stage::set(Chromium, Chromium).await;
    stage.bob.quit().await;
    stage.alice.dial(&stage.bob_name).await;
    stage.alice.ends("offline", "is not online").await;
    stage.alice.quiet(&[]).await;
    stage.alice.quit().await;
}

#[tokio::test]
async fn r054_nobody_answers_for_a_minute() {
    let mut stage = Stage::set(Chromium, Chromium).await;
    stage.alice.fill("#dial", &stage.bob_name).await;
    stage.alice.click("#call-audio").await;
    stage.bob.reach(&["ringing"]).await;
    stage.let_others();
    let limit = Duration::from_secs(60) + PATIENCE;
    stage
        .alice
        .ends_within("no-answer", "didn’t answer", limit)
        .await;
    stage.bob.ends("no-answer", "You missed a call").await;
    stage.close(&[]).await;
}
