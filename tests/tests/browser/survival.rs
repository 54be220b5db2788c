//! What happens to pages when the super node that they depend on is killed.

use crate::stage::Stage;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use tests::Kind::{self, Chromium};
use tests::{Network, PATIENCE, Page, turn, unique, until};

/// Within this time after the death of his super node a user can be called again.
const CALLABLE: Duration = Duration::from_secs(5);
/// Within this time after either side hangs up both pages know.
const HUNG_UP: Duration = Duration::from_secs(2);
/// What a browser itself writes into the console when a super node is gone.
const GONE: &[&str] = &[
    "ERR_CONNECTION_REFUSED",
    "WebSocket",
    "can’t establish a connection",
    "Failed to load resource",
];

/// Time since 1970, as the pages have it, too.
#[expect(
    clippy::disallowed_methods,
    reason = "deadlines against real processes are real time"
)]
fn clock() -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.expect("it is later than 1970")
}

/// One side hangs up, and both pages know in time.
async fn hangs_up(stage: &Stage, who: &Page) {
    let Stage { alice, bob, .. } = stage;
    tokio::join!(alice.note(), bob.note());
    who.hang_up().await;
    tokio::join!(
        alice.ends("hung-up", "The call has ended"),
        bob.ends("hung-up", "The call has ended")
    );
    let clicked = who.noted("click").await;
    for page in [alice, bob] {
        let took = page.noted("ended").await.saturating_sub(clicked);
        assert!(took < HUNG_UP, "a page knew after {took:?}");
    }
}

/// Packets go on to arrive at both sides.
async fn media_goes_on(stage: &Stage) {
    for page in [&stage.alice, &stage.bob] {
        let before = page
            .stats()
            .await
            .expect("a call in progress")
            .audio_packets;
        until("more sound", PATIENCE, async || {
            let now = page.stats().await.map_or(0, |stats| stats.audio_packets);
            if now > before + 100 { Ok(()) } else { Err(now) }
        })
        .await;
        assert_eq!(page.state().await, "in-call");
    }
}

async fn a_call_outlives_its_super_node(who_hangs_up: fn(&Stage) -> &Page) {
    let stage = Stage::set(Chromium, Chromium).await;
    stage.connect().await;
    stage.network.kill(1);
    media_goes_on(&stage).await;
    stage.alice.hears(&stage.bob).await;

    hangs_up(&stage, who_hangs_up(&stage)).await;
    stage.close(GONE).await;
}

#[tokio::test]
async fn r011_the_caller_hangs_up_after_the_super_node_died() {
    a_call_outlives_its_super_node(|stage| &stage.alice).await;
}

#[tokio::test]
async fn r011_the_callee_hangs_up_after_the_super_node_died() {
    a_call_outlives_its_super_node(|stage| &stage.bob).await;
}

#[tokio::test]
async fn r011_hanging_up_at_the_moment_of_the_death_ends_both_sides() {
    let stage = Stage::set(Chromium, Chromium).await;
    stage.connect().await;
    stage.network.kill(1);
    hangs_up(&stage, &stage.bob).await;
    stage.close(GONE).await;
}

#[tokio::test]
async fn r011_a_user_can_be_called_soon_after_his_super_node_died() {
    let stage = Stage::set(Chromium, Chromium).await;
    stage.bob.note().await;
    stage.network.kill(1);
    let killed = clock();
    // The caller tries again whenever a call ends without having rung.
    until("Bob's phone to ring", PATIENCE, async || {
        let bob = stage.bob.state().await;
        if bob == "ringing" {
            return Ok(());
        }
        if stage.alice.data("call").await.is_empty() || stage.alice.state().await == "ended" {
            stage.alice.dial(&stage.bob_name).await;
        }
        Err(bob)
    })
    .await;
    let took = stage.bob.noted("ringing").await.saturating_sub(killed);
    assert!(took < CALLABLE, "Bob was called after {took:?}");
    stage.bob.answer().await;
    stage.alice.reach(&["in-call"]).await;
    stage.alice.hears(&stage.bob).await;
    stage.bob.shows("associations", "2", PATIENCE).await;
    stage.close(GONE).await;
}

/// What the page asked to get into its network.
async fn asked(page: &Page) -> Value {
    page.run("return window.partylineTest.asked()", vec![])
        .await
}

async fn the_kept_page_opens_without_its_super_node(kind: Kind) {
    let _turn = turn().await;
    let network = Network::start(3).await;
    let page = Page::open(kind, &network.page(0), 440.0).await;
    let uri = page.create_account(&unique("carol")).await;
    until("the page in the cache", PATIENCE, async || {
        let script = "const done = arguments[0];
            caches.match('/files.json').then((list) => done(Boolean(list)), () => done(false))";
        let kept = page.browser.driver.execute_async(script, vec![]).await;
        if kept.as_ref().is_ok_and(|kept| kept.json() == true) {
            Ok(())
        } else {
            Err(())
        }
    })
    .await;
    page.shows("associations", "2", PATIENCE).await;
    // Whoever is associated learns of its super nodes' STUN servers, and only then looks at its NAT.
    let stun = asked(&page).await["stun"].to_string();
    assert!(stun.contains("stun:127.0.0.1"), "{stun}");
    assert_eq!(asked(&page).await["bootstrap"], json!([]));

    network.kill(0);
    page.go(&network.page(0)).await;
    page.reach(&["ready"]).await;
    assert_eq!(page.uri().await, uri);
    page.shows("associations", "2", PATIENCE).await;
    assert_eq!(asked(&page).await["bootstrap"], json!([]));

    // With nothing remembered and nobody at the own address there is the bootstrap server left.
    let script = "const done = arguments[0];
        import('/partyline/storage.js').then(({ keep }) => keep({ superNodes: [] })).then(done, done)";
    let forgot = page.browser.driver.execute_async(script, vec![]).await;
    forgot.expect("the page forgets");
    page.go(&network.page(0)).await;
    page.reach(&["ready"]).await;
    assert_ne!(asked(&page).await["bootstrap"], json!([]));
    page.quit().await;
}

#[tokio::test]
async fn r011_r084_r086_r088_r091_the_kept_page_opens_in_chromium_without_its_super_node() {
    the_kept_page_opens_without_its_super_node(Kind::Chromium).await;
}

#[tokio::test]
async fn r011_r084_r086_r088_r091_the_kept_page_opens_in_firefox_without_its_super_node() {
    the_kept_page_opens_without_its_super_node(Kind::Firefox).await;
}

#[tokio::test]
async fn r105_members_call_with_the_login_server_down() {
    let stage = Stage::set(Chromium, Chromium).await;
    stage.network.kill_login();
    stage.bob.reload().await;
    stage.bob.reach(&["ready"]).await;
    stage.connect().await;
    stage.alice.hears(&stage.bob).await;
    stage.close(GONE).await;
}
