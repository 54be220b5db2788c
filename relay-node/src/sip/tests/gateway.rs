//! The P2P proxy between overlays, and between an overlay and the rest of the world.

use std::time::Duration;

use p2psip::{Placement, ProxyLocation, phone_location, proxy_key};
use sip::message::Name;

use super::*;
use crate::node::RunningNode;
use crate::sip::gateway::{Gateway, Overlays};
use crate::testing::{Line, Zone};

/// The SIP server of a domain at a node, with these other overlays.
async fn proxy(
    domain: &str,
    node: Option<&RunningNode>,
    others: &[&RunningNode],
    more: &str,
) -> RunningSip {
    let text = format!(
        "[sip]\ndomain = \"{domain}\"\nlisten = \"127.0.0.1:0\"\nopen_registrar = true\n{more}\n"
    );
    let config = config::parse(Path::new("sip.toml"), &text, [], &[]).unwrap();
    let overlays = Overlays::new();
    for node in node.iter().chain(others) {
        overlays.add(node.overlay, node.api());
    }
    let api = node.map(RunningNode::api);
    start_with(config.sip.unwrap(), api, overlays)
        .await
        .unwrap()
}

/// Waits until an overlay has as many records of a domain's proxies.
async fn proxies(node: &RunningNode, domain: &str, count: usize) -> Vec<p2psip::SignedRecord> {
    let placed = async {
        loop {
            match node.get(proxy_key(domain), None).await {
                Ok(records) if records.len() == count => return records,
                Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, placed).await.unwrap()
}

/// Sends a request again and again until the record that it needs has been placed.
async fn reaches(caller: &mut Line, callee: &Line) -> sip::Message {
    loop {
        let mut dialog = caller.dialog(&callee.uri);
        caller.ask("MESSAGE", &mut dialog, "").await;
        tokio::select! {
            arrived = callee.receive() => return arrived,
            refused = caller.receive() => assert_eq!(refused.status(), Some(480)),
        }
    }
}

#[tokio::test]
async fn r063_r064_r069_r070_a_proxy_in_two_overlays_looks_each_domain_up_in_its_own() {
    let overlays = [Offline::new(), Offline::new()];
    let mut org = overlays[0].super_node("org", &[]).await;
    let mut net = overlays[1].super_node("net", &[]).await;
    sees(&mut org, 1).await;
    sees(&mut net, 1).await;
    let registrar = proxy("example.net", Some(&net), &[], "").await;
    // Another node of the second overlay, so that it doesn't take the registrar's records for its own.
    let mut second = overlays[1].super_node("second", &[&net]).await;
    sees(&mut second, 2).await;
    let domains = format!("domains = {{ \"example.net\" = \"{}\" }}", net.overlay);
    let gateway = proxy("example.org", Some(&org), &[&second], &domains).await;

    let bob = Line::registered("sip:bob@example.net", registrar.listen).await;
    let mut alice = Line::registered("sip:alice@example.org", gateway.listen).await;
    let arrived = reaches(&mut alice, &bob).await;
    assert_eq!(arrived.list(Name::Via).count(), 3, "by both proxies");
    // The same user part in the other domain is somebody else, whom nobody knows.
    let mut dialog = alice.dialog("sip:bob@example.org");
    alice.ask("MESSAGE", &mut dialog, "").await;
    alice.answered(480, &mut dialog).await;
    // Who registers for the other domain is at the wrong registrar.
    let mut carol = Line::new("sip:carol@example.net", gateway.listen).await;
    carol.register(404).await;
    for server in [registrar, gateway] {
        server.task.abort();
    }
}

#[tokio::test]
async fn r056_r074_r075_another_domain_is_looked_for_in_the_transit_overlay_before_dns() {
    let overlays = [Offline::new(), Offline::new(), Offline::new()];
    let [own, others, transit] = &overlays;
    let mut org = own.super_node("org", &[]).await;
    let mut net = others.super_node("net", &[]).await;
    let mut first = transit.super_node("first", &[]).await;
    let mut second = transit.super_node("second", &[&first]).await;
    sees(&mut org, 1).await;
    sees(&mut net, 1).await;
    sees(&mut first, 2).await;
    sees(&mut second, 2).await;
    let outside = proxy("example.com", None, &[], "").await;
    let zone = Zone::serve(&[
        format!(
            "_sip._udp.example.com SRV 10 0 {} sip.example.com",
            outside.listen.port()
        ),
        "sip.example.com A 127.0.0.1".to_owned(),
    ])
    .await;
    let more = format!(
        "transit = \"{}\"\ndns = [\"{}\"]",
        first.overlay, zone.address
    );
    let from = proxy("example.org", Some(&org), &[&first], &more).await;
    let to = proxy("example.net", Some(&net), &[&second], &more).await;
    proxies(&first, "example.net", 1).await;

    let mut alice = Line::registered("sip:alice@example.org", from.listen).await;
    let bob = Line::registered("sip:bob@example.net", to.listen).await;
    let mut dialog = alice.dialog("sip:bob@example.net");
    alice.ask("INVITE", &mut dialog, "").await;
    let invite = bob.asked("INVITE").await;
    assert_eq!(invite.list(Name::Via).count(), 3);
    bob.answer(&invite, 200, "").await;
    alice.answered(200, &mut dialog).await;
    assert_eq!(zone.asked(), 0, "nobody asked DNS");

    // Who is in no transit overlay is found by DNS.
    let carol = Line::registered("sip:carol@example.com", outside.listen).await;
    let mut dialog = alice.dialog("sip:carol@example.com");
    alice.ask("MESSAGE", &mut dialog, "").await;
    carol.asked("MESSAGE").await;
    assert!(zone.asked() > 0);
    for server in [from, to, outside] {
        server.task.abort();
    }
}

#[tokio::test]
async fn r065_r066_r067_r068_proxies_of_a_domain_place_records_side_by_side_and_fresh_ones_in_time()
{
    let overlay = Offline::new();
    let mut first = overlay.super_node("first", &[]).await;
    let mut second = overlay.super_node("second", &[&first]).await;
    sees(&mut first, 2).await;
    sees(&mut second, 2).await;
    let text = "[sip]\ndomain = \"example.org\"\nlisten = \"127.0.0.1:5060\"\n";
    let config = config::parse(Path::new("sip.toml"), text, [], &[]).unwrap();
    let config = config.sip.unwrap();
    let gateways = [&first, &second].map(|node| {
        let overlays = Overlays::new();
        overlays.add(node.overlay, node.api());
        let ports = (5060, None);
        Gateway::new(
            &config,
            Some(node.overlay),
            overlays,
            ports,
            Clock::start(),
            4,
        )
    });
    let placed = proxies(&first, "example.org", 2).await;
    let record = ProxyLocation::read(&placed[0].body).unwrap();
    assert_eq!(
        (record.domain.as_str(), record.lifetime),
        ("example.org", 4)
    );
    assert_eq!(record.locations[0].address, "127.0.0.1");
    // It is there at every look, and becomes another one before its life is over.
    let sequence = placed[0].control.sequence;
    let renewed = async {
        loop {
            let found = first.get(proxy_key("example.org"), None).await;
            let found = found.expect("there is no gap");
            let same = found
                .iter()
                .find(|one| one.control.owner == placed[0].control.owner);
            if same.is_some_and(|one| one.control.sequence > sequence) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, renewed).await.unwrap();
    drop(gateways);
}

#[tokio::test]
async fn r072_whom_the_overlay_does_not_know_the_location_server_may() {
    let overlay = Offline::new();
    let mut node = overlay.super_node("1", &[]).await;
    sees(&mut node, 1).await;
    let other = Line::new("sip:server@example.org", "127.0.0.1:9".parse().unwrap()).await;
    let more = format!("location_server = \"sip:{}\"", other.at);
    let proxy = proxy("example.org", Some(&node), &[], &more).await;
    let mut alice = Line::registered("sip:alice@example.org", proxy.listen).await;
    let mut dialog = alice.dialog("sip:bob@example.org");
    alice.ask("INVITE", &mut dialog, "").await;
    let asked = other.asked("INVITE").await;
    assert_eq!(asked.request_uri(), "sip:bob@example.org");
    assert_eq!(
        asked.field(Name::Route),
        Some(&*format!("<sip:{};lr>", other.at))
    );
    other.answer(&asked, 200, "").await;
    alice.answered(200, &mut dialog).await;
    proxy.task.abort();
}

/// Figure 3: UA1 is a phone, UA2 is reached at the address in its own record.
#[tokio::test]
async fn r080_a_call_from_a_cs_ua_to_a_p2p_ua_runs_as_figure_3_has_it() {
    let overlay = Offline::new();
    let mut node = overlay.super_node("1", &[]).await;
    let mut peer = overlay.super_node("2", &[&node]).await;
    sees(&mut node, 2).await;
    sees(&mut peer, 2).await;
    let proxy = proxy("example.org", Some(&node), &[], "").await;
    // REGISTER, add(UA1 location), add(UA2 location).
    let mut ua1 = Line::registered("sip:ua1@example.org", proxy.listen).await;
    let ua2 = Line::new("sip:ua2@example.org", proxy.listen).await;
    let aor = |uri| p2psip::Aor::read(uri).unwrap();
    let record = phone_location(
        aor("sip:ua2@example.org"),
        "127.0.0.1",
        ua2.at.port(),
        600,
        1,
    );
    let key = aor("sip:ua2@example.org").key();
    let placed = peer
        .update(key, record.to_bytes(), Placement::lasting(600))
        .await;
    placed.unwrap();
    let located = async {
        while node
            .get(aor("sip:ua1@example.org").key(), None)
            .await
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, located).await.unwrap();
    // (1) INVITE to the proxy, (2) get(), (3) UA2's location, (4) INVITE to it.
    let mut dialog = ua1.dialog("sip:ua2@example.org");
    ua1.ask("INVITE", &mut dialog, "").await;
    let invite = ua2.asked("INVITE").await;
    assert_eq!(invite.list(Name::Via).count(), 2, "by the proxy alone");
    assert_eq!(
        invite.field(Name::RecordRoute),
        None,
        "which leaves the path"
    );
    // (5) 200 OK to the proxy, (6) which passes it on.
    ua2.answer(&invite, 200, "").await;
    let ok = ua1.answered(200, &mut dialog).await;
    assert_eq!(ok.list(Name::Via).count(), 1);
    // (7) ACK past the proxy.
    ua1.ask("ACK", &mut dialog, "").await;
    let ack = ua2.asked("ACK").await;
    assert_eq!(ack.list(Name::Via).count(), 1, "straight from UA1");
    proxy.task.abort();
}
