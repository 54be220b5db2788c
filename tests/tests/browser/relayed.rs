//! Calls that go by relays, which super nodes name to their users.

use crate::stage::Stage;
use tests::Kind::{self, Chromium};
use tests::{PATIENCE, until};

/// Bob hides his address; neither page was told of any relay by anybody but its super nodes.
async fn call_of_somebody_who_hides(alice: Kind, bob: Kind) {
    let stage = Stage::set_with_relays(alice, bob).await;
    let Stage { alice, bob, .. } = &stage;
    bob.run(
        "document.querySelector('#open-settings').click(); const check = document.querySelector('#relay-only'); \
         check.click(); document.querySelector('#settings-close').click(); return check.checked;",
        Vec::new(),
    )
    .await;
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
