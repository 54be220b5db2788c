//! A page and a native node: each reads what the other one wrote, and calls it.

use p2psip::{EndReason, Event};
use relay_node::config;
use relay_node::ordinary::{self, RunningOrdinary};
use std::path::Path;
use tests::Kind::Chromium;
use tests::{Network, PATIENCE, Page, turn, unique};
use tokio::time::timeout;

const FINGERPRINT: &str = "sha-256 77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77";

/// A description whose media never flows: what counts here is who is found and rings.
fn sdp() -> String {
    format!(
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
         a=ice-ufrag:ufrg\r\na=ice-pwd:passwordpasswordpassword\r\na=ice-options:trickle\r\n\
         a=fingerprint:{FINGERPRINT}\r\na=setup:actpass\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\n\
         a=rtpmap:111 opus/48000/2\r\n"
    )
}

/// Starts a guest's native node, which can be called.
async fn guest(network: &Network, data: &Path) -> RunningOrdinary {
    let text = format!(
        "[ordinary_node]\ndata = {data:?}\nmulticast = false\nlogin = {:?}\nguest = \"native\"\n",
        network.login()
    );
    let config = config::parse(Path::new("native.toml"), &text, [], &[]).expect("a configuration");
    let config = config.ordinary_node.expect("an ordinary node's section");
    let mut node = ordinary::start(config).await.expect("the node starts");
    node.act(|peer, now| peer.go_online(FINGERPRINT, now)).await;
    happens(&mut node, |event| matches!(event, Event::Online)).await;
    node
}

async fn happens(node: &mut RunningOrdinary, wanted: impl Fn(&Event) -> bool) -> Event {
    let waiting = async {
        loop {
            let event = node.events.recv().await.expect("the node runs");
            if wanted(&event) {
                return event;
            }
        }
    };
    timeout(PATIENCE, waiting).await.expect("it happens")
}

#[tokio::test]
async fn r038_r039_a_page_and_a_native_node_read_each_others_records() {
    let _turn = turn().await;
    let network = Network::start(3).await;
    let page = Page::open(Chromium, &network.page(0), 440.0).await;
    let name = unique("alice");
    let uri = page.create_account(&name).await;
    page.reach(&["ready"]).await;
    let data = tempfile::tempdir().expect("a temporary directory");
    let mut native = guest(&network, data.path()).await;

    // The key and the record that WebAssembly made, looked up and read by native code.
    let calling = native.act(move |peer, now| {
        let call = peer.call(&name, now);
        peer.offer(call, &sdp(), now);
    });
    calling.await.expect("the node runs");
    page.reach(&["ringing"]).await;
    page.click("#decline").await;
    let ended = happens(&mut native, |event| matches!(event, Event::Ended { .. })).await;
    let declined = matches!(ended, Event::Ended { reason, .. } if reason == EndReason::Declined);
    assert!(declined, "{ended:?}");

    // The other way round.
    page.reach(&["ready", "ended"]).await;
    page.dial(&native.uri).await;
    let incoming = happens(&mut native, |event| matches!(event, Event::Incoming { .. })).await;
    let Event::Incoming { call, caller, .. } = incoming else {
        unreachable!("it was waited for");
    };
    assert_eq!(caller.uri, format!("sip:{uri}"));
    native.act(move |peer, now| peer.decline(call, now)).await;
    page.ends("declined", "declined").await;
    native.leave().await;
    page.quiet(&[]).await;
    page.quit().await;
}
