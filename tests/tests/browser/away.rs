//! A tab that goes to another page and comes back. Browsers keep its page for the way back, where it hears nothing.

use crate::stage::Stage;
use tests::Kind::Chromium;
use tests::Scratch;

const ELSEWHERE: &[(&str, &str)] = &[("/", "<!doctype html>Another page"), ("/favicon.ico", "")];
/// What Chromium says of sockets that are closed while they open anew.
const REOPENED: &[&str] = &["WebSocket"];

#[tokio::test]
async fn r054_who_goes_to_another_page_is_offline_until_he_is_back() {
    let stage = Stage::set(Chromium, Chromium).await;
    let Stage { alice, bob, .. } = &stage;
    let elsewhere = Scratch::start(ELSEWHERE).await;
    bob.run("window.kept = true", vec![]).await;
    bob.go(&elsewhere.origin).await;
    alice.dial(&stage.bob_name).await;
    alice.ends("offline", "is not online").await;

    bob.browser
        .driver
        .back()
        .await
        .expect("there is a way back");
    bob.reach(&["ready"]).await;
    let kept = bob.run("return window.kept ?? false", vec![]).await;
    assert_eq!(kept, true, "a page that is loaded anew shows nothing");
    alice.dial(&stage.bob_name).await;
    bob.reach(&["ringing"]).await;
    alice.hang_up().await;
    bob.ends("cancelled", "You missed a call").await;
    stage.close(REOPENED).await;
}

#[tokio::test]
async fn r054_who_goes_to_another_page_while_it_rings_keeps_nobody_waiting() {
    let stage = Stage::set(Chromium, Chromium).await;
    let Stage { alice, bob, .. } = &stage;
    let elsewhere = Scratch::start(ELSEWHERE).await;
    alice.dial(&stage.bob_name).await;
    bob.reach(&["ringing"]).await;
    bob.go(&elsewhere.origin).await;
    alice.ends("no-answer", "didn’t answer").await;

    bob.browser
        .driver
        .back()
        .await
        .expect("there is a way back");
    bob.ends("no-answer", "You missed a call").await;
    stage.close(REOPENED).await;
}
