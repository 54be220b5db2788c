//! A network without a login server: its page says that nobody can sign in there.

use crate::fourth::{tcp_port, udp_port};
use std::fs;
use std::path::Path;
use tests::{Kind, PATIENCE, Page, readable, relay_node, start_node, turn, until};

/// Runs `relay-node` to its end.
fn run(arguments: &[&str]) {
    let output = relay_node()
        .args(arguments)
        .output()
        .expect("relay-node starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
}

/// Writes the file of a super node whose certificate its operator has issued by hand.
fn configure(directory: &Path, origin: &str) {
    let path = |name: &str| directory.join(name).display().to_string();
    let (authority, data) = (path("ca"), path("node"));
    run(&["ca", "new", "--ca", &authority, "--domain", "example.org"]);
    run(&[
        "ca",
        "issue",
        "super-node",
        "--ca",
        &authority,
        "--out",
        &data,
    ]);
    let listen = origin.trim_start_matches("http://");
    let (quic, stun) = (udp_port(), udp_port());
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../web/dist");
    let config = format!(
        "[super_node]\ndata = {data:?}\nlisten = {listen:?}\nurl = {origin:?}\nquic = \"127.0.0.1:{quic}\"\n\
         stun = \"127.0.0.1:{stun}\"\npage = {page:?}\nseeds = []\n"
    );
    fs::write(directory.join("node.toml"), config).expect("a file");
}

#[tokio::test]
async fn r092_a_page_of_a_network_without_a_login_server_says_so() {
    let _turn = turn().await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let origin = format!("http://127.0.0.1:{}", tcp_port());
    configure(directory.path(), &origin);
    let node = start_node(&directory.path().join("node.toml"));
    until("the node", PATIENCE, async || {
        let ready = readable(&format!("{origin}/healthz")).await;
        ready.then_some(()).ok_or_else(|| node.output())
    })
    .await;

    let page = Page::open(Kind::Chromium, &origin, 440.0).await;
    page.reach(&["signed-out"]).await;
    page.shows("problem", "no-sign-in", PATIENCE).await;
    for door in ["#sign-in", "#create-account", "#guest"] {
        page.click("#toast-close").await;
        page.click(door).await;
        until("the sentence", PATIENCE, async || {
            let script = "return !document.getElementById('toast').hidden";
            let shown = page.run(script, vec![]).await == true;
            let told = page.text("#toast-text").await;
            let right = shown && told.contains("has no login server");
            right.then_some(()).ok_or(told)
        })
        .await;
        page.reach(&["signed-out"]).await;
    }
    page.quiet(&[]).await;
    page.quit().await;
}
