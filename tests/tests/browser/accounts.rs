//! Signing in, staying signed in, and what the login server refuses.

use std::time::Duration;
use tests::Kind::{self, Chromium, Firefox};
use tests::{Network, Page, turn, unique, until};

async fn a_reload_stays_signed_in(kind: Kind) {
    let _turn = turn().await;
    let network = Network::start(2).await;
    let page = Page::open(kind, &network.page(0), 440.0).await;
    let uri = page.create_account(&unique("dora")).await;
    assert!(uri.ends_with(&format!("@{}", network.domain())));
    for _ in 0..2 {
        page.reload().await;
        page.reach(&["ready"]).await;
        assert_eq!(page.uri().await, uri);
    }
    page.quiet(&[]).await;
    page.quit().await;
}

#[tokio::test]
async fn r105_a_reload_stays_signed_in_in_chromium() {
    a_reload_stays_signed_in(Chromium).await;
}

#[tokio::test]
async fn r105_a_reload_stays_signed_in_in_firefox() {
    a_reload_stays_signed_in(Firefox).await;
}

/// Waits until the login server's page complains in these words.
async fn complains(page: &Page, words: &str) {
    until(
        &format!("the complaint '{words}'"),
        tests::PATIENCE,
        async || {
            let seen = page.text("[role=alert]").await;
            if seen.contains(words) {
                Ok(())
            } else {
                Err(seen)
            }
        },
    )
    .await;
}

#[tokio::test]
async fn r107_the_login_server_says_what_is_wrong() {
    let _turn = turn().await;
    let network = Network::start(1).await;
    let name = unique("erik");
    let first = Page::open(Chromium, &network.page(0), 440.0).await;
    first.create_account(&name).await;
    first.quit().await;

    let page = Page::open(Chromium, &network.page(0), 440.0).await;
    page.reach(&["signed-out"]).await;
    page.click("#create-account").await;
    page.fill("input[name=repeat]", "a long line of birds")
        .await;
    page.credentials(&name, "a long line of birds").await;
    complains(&page, "Somebody has this name already").await;
    page.fill("input[name=repeat]", "a long line of birds")
        .await;
    page.credentials("no such name!", "a long line of birds")
        .await;
    complains(&page, "A name has letters").await;
    page.fill("input[name=repeat]", "short").await;
    page.credentials(&unique("frida"), "short").await;
    complains(&page, "A password has at least").await;

    page.go(&network.page(0)).await;
    page.reach(&["signed-out"]).await;
    page.click("#sign-in").await;
    page.credentials(&name, "not the right words").await;
    complains(&page, "The name or the password is wrong").await;
    page.credentials(&name, "a long line of birds").await;
    page.reach(&["ready"]).await;
    page.quit().await;
}

#[tokio::test]
async fn a_page_that_signs_out_leaves_the_accounts_devices() {
    let _turn = turn().await;
    let network = Network::start(1).await;
    let page = Page::open(Chromium, &network.page(0), 440.0).await;
    page.create_account(&unique("ida")).await;
    let account = format!("{}/account", network.login());
    page.go(&account).await;
    assert!(
        page.text("section[aria-labelledby=devices]")
            .await
            .contains("Active")
    );
    page.go(&network.page(0)).await;
    page.reach(&["ready"]).await;
    page.sign_out().await;
    until("no device in the account", tests::PATIENCE, async || {
        page.go(&account).await;
        let devices = page.text("section[aria-labelledby=devices]").await;
        if devices.contains("No device of yours is signed in") {
            Ok(())
        } else {
            Err(devices)
        }
    })
    .await;
    page.quit().await;
}

#[tokio::test]
async fn r058_two_devices_of_one_user_ring_and_one_answers() {
    let _turn = turn().await;
    let network = Network::start(3).await;
    let name = unique("gina");
    let pages = [network.page(0), network.page(1), network.page(2)];
    let (first, second, caller) = tokio::join!(
        Page::open(Chromium, &pages[0], 440.0),
        Page::open(Chromium, &pages[1], 660.0),
        Page::open(Chromium, &pages[2], 880.0)
    );
    first.create_account(&name).await;
    second.sign_in(&name).await;
    caller.guest().await;
    caller.dial(&name).await;
    first.reach(&["ringing"]).await;
    second.reach(&["ringing"]).await;
    second.answer().await;
    first
        .ends("answered-elsewhere", "answered on another")
        .await;
    caller.hears(&second).await;
    for page in [first, second, caller] {
        page.quiet(&[]).await;
        page.quit().await;
    }
}

#[tokio::test]
async fn an_expired_certificate_is_told() {
    let turn_of_starting = turn().await;
    let lifetimes = "{ user = 20, guest = 20 }";
    let network = Network::start_with(1, &[("PARTYLINE_LOGIN_LIFETIMES", lifetimes)]).await;
    let page = Page::open(Chromium, &network.page(0), 440.0).await;
    page.create_account(&unique("hugo")).await;
    page.go("about:blank").await;
    drop(turn_of_starting);
    tokio::time::sleep(Duration::from_secs(22)).await;
    let _turn = turn().await;
    page.go(&network.page(0)).await;
    page.reach(&["signed-out"]).await;
    assert_eq!(page.data("problem").await, "credential-expired");
    page.quit().await;
}
