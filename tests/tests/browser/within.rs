//! What happens within a call that stands, and to a phone whose place another tab takes.

use crate::stage::Stage;
use tests::Kind::{self, Chromium, Firefox};
use tests::{PATIENCE, Page, until};

/// Waits until an attribute has a value.
async fn becomes(page: &Page, selector: &str, name: &str, value: &str) {
    until("an attribute", PATIENCE, async || {
        let now = page.attribute(selector, name).await;
        if now == value { Ok(()) } else { Err(now) }
    })
    .await;
}

async fn the_camera_goes_off_and_on(caller: Kind, callee: Kind) {
    let stage = Stage::set(caller, callee).await;
    stage.connect().await;
    for (switching, watching) in [(&stage.bob, &stage.alice), (&stage.alice, &stage.bob)] {
        watching.sees().await;
        switching.click("#camera").await;
        becomes(watching, "#call", "data-picture", "false").await;
        switching.sees().await;
        switching.click("#camera").await;
        becomes(watching, "#call", "data-picture", "true").await;
        watching.sees().await;
    }
    stage.alice.hears(&stage.bob).await;
    stage.close(&[]).await;
}

#[tokio::test]
async fn the_camera_goes_off_and_on_in_chromium_calling_firefox() {
    the_camera_goes_off_and_on(Chromium, Firefox).await;
}

#[tokio::test]
async fn the_camera_goes_off_and_on_in_chromium_calling_chromium() {
    the_camera_goes_off_and_on(Chromium, Chromium).await;
}

/// Makes a page count how often it looks for a new path.
const COUNT_RESTARTS: &str = "
    window.restarts = 0;
    const restart = RTCPeerConnection.prototype.restartIce;
    RTCPeerConnection.prototype.restartIce = function () { window.restarts += 1; return restart.call(this); };";

#[tokio::test]
async fn a_call_moves_to_a_new_network() {
    let stage = Stage::set(Chromium, Firefox).await;
    stage.connect().await;
    // Both at once: their offers cross, and one of them has to give way.
    for page in [&stage.alice, &stage.bob] {
        page.run(COUNT_RESTARTS, vec![]).await;
    }
    for page in [&stage.alice, &stage.bob] {
        page.run("dispatchEvent(new Event('online'))", vec![]).await;
    }
    for page in [&stage.alice, &stage.bob] {
        until("a new path", PATIENCE, async || {
            let count = page.run("return window.restarts", vec![]).await;
            if count.as_u64() > Some(0) {
                Ok(())
            } else {
                Err(count)
            }
        })
        .await;
    }
    stage.alice.reach(&["in-call"]).await;
    stage.bob.reach(&["in-call"]).await;
    stage.alice.hears(&stage.bob).await;
    stage.bob.hears(&stage.alice).await;
    stage.alice.sees().await;
    stage.alice.hang_up().await;
    stage.alice.ends("hung-up", "The call has ended").await;
    stage.bob.ends("hung-up", "The call has ended").await;
    stage.close(&[]).await;
}

/// Takes the phone as another tab does, and holds it until `window.closeTab()`.
const ANOTHER_TAB: &str = "
    navigator.locks.request('partyline phone', { steal: true }, () => new Promise((done) => { window.closeTab = done; }));";

#[tokio::test]
async fn the_phone_returns_from_another_tab() {
    let stage = Stage::set(Chromium, Chromium).await;
    stage.bob.run(ANOTHER_TAB, vec![]).await;
    becomes(&stage.bob, "body", "data-problem", "other-tab").await;
    stage.bob.reach(&["reconnecting"]).await;
    stage.alice.dial(&stage.bob_name).await;
    stage.alice.ends("offline", "").await;
    stage.bob.run("window.closeTab()", vec![]).await;
    stage.bob.reach(&["ready"]).await;
    stage.connect().await;
    stage.alice.hears(&stage.bob).await;
    stage.close(&[]).await;
}
