//! Somebody stands between a user and his super node, and alters what passes.

use std::sync::atomic::Ordering;

use super::*;
use crate::testing::Meddler;

/// What every record and request of Alice's says.
const ALICE: &[u8] = b"alice@example.org";

/// A user's messages through somebody who alters all of them as soon as he likes.
async fn a_stream_can_be_cut_and_no_more(transport: &str) {
    let overlay = Offline::new();
    let mut first = overlay.secure_super_node("1", &[]).await;
    sees(&mut first, 1).await;
    let (meddler, way) = Meddler::proxy(ALICE).await;
    let more = format!(
        "trust = {:?}\ntransports = [{transport:?}]\nproxy = \"http://{way}\"\n",
        overlay.tls().0
    );
    let mut alice = node(&overlay.user("alice"), &[&first], &more).await;
    let alone = alice.status.wait_for(|status| status.associations == 1);
    drop(timeout(PATIENCE, alone).await.unwrap().unwrap());
    meddler.alters.store(true, Ordering::Relaxed);
    let cut = alice.status.wait_for(|status| status.associations == 0);
    drop(timeout(PATIENCE, cut).await.unwrap().unwrap());
    meddler.alters.store(false, Ordering::Relaxed);
    let again = alice.status.wait_for(|status| status.associations == 1);
    drop(timeout(PATIENCE, again).await.unwrap().unwrap());
    alice
        .act(|peer, now| peer.go_online(FINGERPRINT, now))
        .await
        .unwrap();
    until(&mut alice, |event| matches!(event, Event::Online)).await;
    assert!(meddler.altered.load(Ordering::Relaxed) > 0);
    assert!(meddler.tunnels.load(Ordering::Relaxed) > 1);
    assert_eq!(meddler.read.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a09_r109_r110_who_stands_before_a_super_node_can_cut_tls_and_no_more() {
    a_stream_can_be_cut_and_no_more("tls").await;
}

#[tokio::test]
async fn a09_r109_r110_who_stands_before_a_super_node_can_cut_a_websocket_and_no_more() {
    a_stream_can_be_cut_and_no_more("websocket").await;
}

#[tokio::test]
async fn a09_r109_r110_who_stands_before_a_super_node_alters_no_datagram() {
    let overlay = Offline::new();
    let mut first = overlay.super_node("1", &[]).await;
    sees(&mut first, 1).await;
    let (meddler, way) = Meddler::before(first.config.quic_public(), ALICE).await;
    let alice_data = overlay.user("alice");
    let entry = serde_json::json!({
        "node": first.node.to_string(), "ws": first.config.url.websocket(), "quic": way.to_string()
    });
    let met = serde_json::json!({ "super_nodes": [entry] }).to_string();
    std::fs::write(alice_data.join("super-nodes.json"), met).unwrap();
    let mut alice = node(&alice_data, &[], "transports = [\"quic\"]\n").await;
    let alone = alice
        .status
        .wait_for(|status| status.transports == [Transport::Quic]);
    drop(timeout(PATIENCE, alone).await.unwrap().unwrap());
    for _ in 0..20 {
        alice
            .act(|peer, now| peer.go_online(FINGERPRINT, now))
            .await
            .unwrap();
        until(&mut alice, |event| matches!(event, Event::Online)).await;
        alice.act(|peer, now| peer.go_offline(now)).await.unwrap();
        until(&mut alice, |event| matches!(event, Event::Offline)).await;
    }
    assert!(meddler.altered.load(Ordering::Relaxed) > 10);
    assert_eq!(meddler.read.load(Ordering::Relaxed), 0);
}
