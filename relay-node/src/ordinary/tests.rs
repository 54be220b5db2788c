use std::path::Path;

use p2psip::{CallId, Contact, EndReason};
use tokio::time::timeout;

use super::*;
use crate::config::{self, Transport};
use crate::node::RunningNode;
use crate::testing::{Offline, PATIENCE, sees};
use crate::tunnel;

mod meddled;

const FINGERPRINT: &str = "sha-256 77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77:77";

/// Starts an ordinary node that knows these super nodes and no server.
async fn node(data: &Path, seeds: &[&RunningNode], more: &str) -> RunningOrdinary {
    let seeds: Vec<_> = seeds.iter().map(|node| node.config.url.as_str()).collect();
    let text =
        format!("[ordinary_node]\ndata = {data:?}\nmulticast = false\nseeds = {seeds:?}\n{more}");
    let text = match seeds.is_empty() {
        true => format!("{text}bootstrap = [\"http://127.0.0.1:1\"]\n"),
        false => text,
    };
    let config = config::parse(Path::new("node.toml"), &text, [], &[]).unwrap();
    start(config.ordinary_node.unwrap()).await.unwrap()
}

/// Has an ordinary node remember these super nodes from an earlier run.
fn met(data: &Path, super_nodes: &[&RunningNode]) {
    let entry = |node: &&RunningNode| {
        let (ws, quic) = (node.config.url.websocket(), node.config.quic_public());
        serde_json::json!({ "node": node.node.to_string(), "ws": ws, "quic": quic })
    };
    let entries: Vec<_> = super_nodes.iter().map(entry).collect();
    let text = serde_json::json!({ "super_nodes": entries }).to_string();
    std::fs::write(data.join("super-nodes.json"), text).unwrap();
}

/// Waits for two associations, by this transport alone.
async fn associates(node: &mut RunningOrdinary, transport: Transport) {
    let both = node.status.wait_for(|status| status.associations == 2);
    drop(timeout(PATIENCE, both).await.unwrap().unwrap());
    let by = node
        .status
        .wait_for(|status| status.transports == [transport; 2]);
    drop(timeout(PATIENCE, by).await.unwrap().unwrap());
}

async fn until(node: &mut RunningOrdinary, wanted: impl Fn(&Event) -> bool) -> Event {
    let waiting = async {
        loop {
            let event = node.events.recv().await.unwrap();
            if wanted(&event) {
                return event;
            }
        }
    };
    timeout(PATIENCE, waiting).await.unwrap()
}

fn sdp() -> String {
    format!(
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
         a=ice-ufrag:ufrg\r\na=ice-pwd:passwordpasswordpassword\r\na=ice-options:trickle\r\n\
         a=fingerprint:{FINGERPRINT}\r\na=setup:actpass\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\n\
         a=rtpmap:111 opus/48000/2\r\n"
    )
}

#[tokio::test]
async fn r083_r088_r092_r097_native_nodes_associate_and_call_without_any_server() {
    let overlay = Offline::new();
    let mut first = overlay.secure_super_node("1", &[]).await;
    let mut second = overlay.secure_super_node("2", &[&first]).await;
    sees(&mut first, 2).await;
    sees(&mut second, 2).await;
    let trust = format!("trust = {:?}\n", overlay.tls().0);
    let only = |transport: &str| format!("{trust}transports = [{transport:?}]\n");

    let (alice_data, bob_data) = (overlay.user("alice"), overlay.user("bob"));
    met(&alice_data, &[&first, &second]);
    let mut alice = node(&alice_data, &[], &only("quic")).await;
    assert_eq!(alice.uri, "sip:alice@example.org");
    associates(&mut alice, Transport::Quic).await;
    let mut bob = node(&bob_data, &[&second], &only("tls")).await;
    associates(&mut bob, Transport::Tls).await;
    let carol_data = overlay.user("carol");
    let mut carol = node(&carol_data, &[&first], &only("websocket")).await;
    associates(&mut carol, Transport::WebSocket).await;
    // It keeps whom it met, the one that serves it among them, for that one wants it back.
    let kept = async {
        loop {
            let text = std::fs::read(Path::new(&carol_data).join("super-nodes.json"));
            let kept = serde_json::from_slice(&text.unwrap_or_default());
            let kept: serde_json::Value = kept.unwrap_or_default();
            let named = kept["super_nodes"].as_array();
            if named.is_some_and(|named| named.len() == 2 && named.contains(&kept["last"])) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, kept).await.unwrap();
    carol.leave().await;
    // It finds them again without being told.
    let mut carol = node(&carol_data, &[], &only("websocket")).await;
    associates(&mut carol, Transport::WebSocket).await;

    for user in [&mut alice, &mut bob] {
        user.act(|peer, now| peer.go_online(FINGERPRINT, now)).await;
        until(user, |event| matches!(event, Event::Online)).await;
    }
    let called = alice.act(|peer, now| {
        let call = peer.call("bob", now);
        peer.offer(call, &sdp(), now);
        call
    });
    let called: CallId = called.await.unwrap();
    let incoming = until(&mut bob, |event| matches!(event, Event::Incoming { .. })).await;
    let Event::Incoming { call, caller, .. } = incoming else {
        unreachable!()
    };
    assert_eq!(caller.uri, "sip:alice@example.org");
    bob.act(move |peer, now| peer.answer(call, &sdp(), now))
        .await;
    until(&mut alice, |event| matches!(event, Event::Answered { .. })).await;
    alice.act(move |peer, now| peer.hang_up(called, now)).await;
    until(&mut bob, |event| matches!(event, Event::Ended { .. })).await;
}

/// Bob calls Alice, who is not there; says why that fails.
async fn call_to_alice(bob: &mut RunningOrdinary) -> EndReason {
    let stands = bob.status.wait_for(|status| status.associations > 0);
    drop(timeout(PATIENCE, stands).await.unwrap().unwrap());
    let calling = bob.act(|peer, now| {
        let call = peer.call("alice", now);
        peer.offer(call, &sdp(), now);
    });
    calling.await.unwrap();
    match until(bob, |event| matches!(event, Event::Ended { .. })).await {
        Event::Ended { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn r130_records_outlast_a_restart_and_a_damaged_file_keeps_no_node_from_starting() {
    let overlay = Offline::new();
    let mut first = overlay.super_node("1", &[]).await;
    sees(&mut first, 1).await;
    let mut alice = node(&overlay.user("alice"), &[&first], "").await;
    alice
        .act(|peer, now| peer.go_online(FINGERPRINT, now))
        .await
        .unwrap();
    until(&mut alice, |event| matches!(event, Event::Online)).await;
    // She goes without a goodbye, and the one super node that has her record is restarted.
    drop(alice);
    first.leave().await;
    let mut first = overlay.super_node("1", &[]).await;
    sees(&mut first, 1).await;
    let bob_data = overlay.user("bob");
    let mut bob = node(&bob_data, &[&first], "").await;
    assert_ne!(call_to_alice(&mut bob).await, EndReason::NotFound);
    drop(bob);
    first.leave().await;

    let file = overlay.path("1").join("records.redb");
    std::fs::write(&file, "this is no database").unwrap();
    let mut first = overlay.super_node("1", &[]).await;
    sees(&mut first, 1).await;
    assert!(file.with_extension("damaged").exists());
    let mut bob = node(&bob_data, &[&first], "").await;
    assert_eq!(call_to_alice(&mut bob).await, EndReason::NotFound);
}

#[tokio::test]
async fn r098_a_native_node_associates_through_an_http_proxy() {
    let overlay = Offline::new();
    let mut first = overlay.secure_super_node("1", &[]).await;
    let mut second = overlay.super_node("2", &[&first]).await;
    sees(&mut first, 2).await;
    sees(&mut second, 2).await;
    let (proxy, mut tunnels) = tunnel::tests::proxy("HTTP/1.1 200 OK\r\n\r\n").await;
    let more = format!(
        "trust = {:?}\nproxy = \"http://me:hunter2@{}\"\n",
        overlay.tls().0,
        proxy.address
    );
    let mut alice = node(&overlay.user("alice"), &[&first, &second], &more).await;
    let both = alice.status.wait_for(|status| status.associations == 2);
    drop(timeout(PATIENCE, both).await.unwrap().unwrap());
    let mut asked = Vec::new();
    while let Ok(request) = tunnels.try_recv() {
        asked.push(request);
    }
    for node in [&first, &second] {
        let target = format!("{}:{}", node.config.url.host(), node.config.url.port());
        let led = asked
            .iter()
            .any(|request| request.starts_with(&format!("CONNECT {target} HTTP/1.1\r\n")));
        assert!(led, "{target} is not in {asked:?}");
    }
    assert!(!alice.status.borrow().transports.contains(&Transport::Quic));
}

#[tokio::test]
async fn r085_a_node_joins_the_overlay_of_its_certificate_or_the_only_one_that_its_file_names() {
    let (overlay, other) = (Offline::new(), Offline::new());
    let id = |of: &Offline| {
        let root = std::fs::read(of.ca().join("root.der")).unwrap();
        credential::TrustAnchor::read(&root).unwrap().overlay()
    };
    let mut super_node = overlay.super_node("1", &[]).await;
    sees(&mut super_node, 1).await;
    let data = overlay.user("alice");
    let own = format!("overlay = \"{}\"\n", id(&overlay));
    for more in ["", &own] {
        let mut alice = node(&data, &[&super_node], more).await;
        let alone = alice.status.wait_for(|status| status.associations == 1);
        drop(timeout(PATIENCE, alone).await.unwrap().unwrap());
        alice.leave().await;
    }
    let text = format!(
        "[ordinary_node]\ndata = {data:?}\noverlay = \"{}\"\n",
        id(&other)
    );
    let config = config::parse(Path::new("node.toml"), &text, [], &[]).unwrap();
    let refused = start(config.ordinary_node.unwrap()).await.unwrap_err();
    let refused = refused.to_string();
    for named in [id(&overlay), id(&other)] {
        assert!(refused.contains(&named.to_string()), "{refused}");
    }
    let wrong = text.replace("overlay = \"", "overlay = \"example.org ");
    let wrong = config::parse(Path::new("node.toml"), &wrong, [], &[]).unwrap_err();
    assert!(wrong.to_string().contains("hexadecimal"), "{wrong}");
}

#[tokio::test]
async fn r083_a_node_without_certificate_and_login_server_is_told_how_to_get_one() {
    let directory = tempfile::tempdir().unwrap();
    let text = format!("[ordinary_node]\ndata = {:?}\n", directory.path());
    let config = config::parse(Path::new("node.toml"), &text, [], &[]).unwrap();
    let refused = start(config.ordinary_node.unwrap()).await.unwrap_err();
    let refused = refused.to_string();
    assert!(
        refused.contains("relay-node ca issue user NAME --out"),
        "{refused}"
    );
}

mod order {
    use std::net::UdpSocket;

    use super::super::dial::{Dialer, Way};
    use super::*;

    fn dialer(overlay: &Offline) -> Dialer {
        let root = std::fs::read(overlay.ca().join("root.der")).unwrap();
        let anchor = credential::TrustAnchor::read(&root).unwrap();
        let tls = tls::client(Some(&overlay.tls().0)).unwrap();
        Dialer::new(Transport::all(), None, tls, anchor)
    }

    async fn reached(dialer: &Dialer, url: &str) -> Transport {
        let way: Result<Way, _> = timeout(PATIENCE, dialer.dial(url)).await.unwrap();
        way.map(|way| way.transport())
            .map_err(|error| error.to_string())
            .unwrap()
    }

    #[tokio::test]
    async fn r097_udp_comes_before_tcp_and_tcp_before_the_fallback() {
        let overlay = Offline::new();
        let node = overlay.secure_super_node("1", &[]).await;
        let url = node.config.url.websocket();
        let mut dialer = dialer(&overlay);
        dialer.head_start = PATIENCE;
        dialer.learn(&url, &node.config.quic_public());
        assert_eq!(reached(&dialer, &url).await, Transport::Quic);

        // A firewall that drops UDP.
        let hole = UdpSocket::bind("127.0.0.1:0").unwrap();
        dialer.learn(&url, &hole.local_addr().unwrap().to_string());
        dialer.head_start = Duration::from_millis(50);
        assert_ne!(reached(&dialer, &url).await, Transport::Quic);
        let mut without = dialer.clone();
        without.transports = vec![Transport::Tls, Transport::WebSocket];
        without.head_start = PATIENCE;
        assert_eq!(reached(&without, &url).await, Transport::Tls);

        // One that speaks clear text on this machine has no TLS to offer.
        let clear = overlay.super_node("2", &[]).await;
        let url = clear.config.url.websocket();
        assert_eq!(reached(&without, &url).await, Transport::WebSocket);
    }

    #[tokio::test]
    async fn a03_r099_a_super_node_of_another_overlay_is_not_reached_by_quic() {
        let (overlay, other) = (Offline::new(), Offline::new());
        let stranger = other.secure_super_node("1", &[]).await;
        let url = stranger.config.url.websocket();
        let mut dialer = dialer(&overlay);
        dialer.transports = vec![Transport::Quic];
        dialer.learn(&url, &stranger.config.quic_public());
        let refused = timeout(PATIENCE, dialer.dial(&url)).await.unwrap();
        assert!(refused.is_err());
    }
}

mod sources {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::super::bootstrap::Source;
    use super::*;

    struct Stage {
        chain: Chain,
        ordered: mpsc::Receiver<Order>,
        status: watch::Sender<OrdinaryStatus>,
        asked: mpsc::Receiver<()>,
        _overlay: Offline,
    }

    /// A bootstrap server that names `count` super nodes, and tells when it is asked.
    async fn server(count: usize) -> (String, mpsc::Receiver<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let entry = |number: usize| {
            format!(
                r#"{{"node":"{number:040x}","ws":"ws://127.0.0.1:1/{number}","quic":"127.0.0.1:1"}}"#
            )
        };
        let entries: Vec<_> = (0..count).map(entry).collect();
        let body = format!(r#"{{"super_nodes":[{}]}}"#, entries.join(","));
        let (told, asked) = mpsc::channel(8);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = told.send(()).await;
                let _ = stream.read(&mut [0; 1024]).await;
                let length = body.len();
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        (origin, asked)
    }

    /// A chain of sources whose super nodes nobody dials.
    async fn stage(count: usize) -> Stage {
        let overlay = Offline::new();
        let (server, asked) = server(count).await;
        let data = overlay.user("alice");
        let text = format!(
            "[ordinary_node]\ndata = {data:?}\nmulticast = false\nseeds = [\"http://127.0.0.1:4\"]\n\
             bootstrap = [{server:?}]\n"
        );
        let config = config::parse(Path::new("node.toml"), &text, [], &[]).unwrap();
        let config = config.ordinary_node.unwrap();
        let root = std::fs::read(overlay.ca().join("root.der")).unwrap();
        let anchor = credential::TrustAnchor::read(&root).unwrap();
        let tls = tls::client(None).unwrap();
        let vault = Vault::open(&data).unwrap();
        let dialer = Dialer::new(Vec::new(), None, tls.clone(), anchor.clone());
        let contact = |url: &str| Contact {
            node: None,
            url: url.to_owned(),
        };
        let [last, cached] = ["ws://127.0.0.1:3/last", "ws://127.0.0.1:2/cached"].map(contact);
        Cache::keep(&[cached], Some(&last), &dialer, &vault);
        let (orders, ordered) = mpsc::channel(16);
        let (status, known) = watch::channel(OrdinaryStatus::default());
        let chain = Chain {
            config,
            overlay: anchor.overlay(),
            vault,
            client: Client::new(tls),
            dialer,
            orders,
            status: known,
            patience: Duration::from_millis(20),
        };
        Stage {
            chain,
            ordered,
            status,
            asked,
            _overlay: overlay,
        }
    }

    fn urls(order: Order) -> Vec<String> {
        match order {
            Order::SuperNodes(contacts) => contacts.into_iter().map(|named| named.url).collect(),
            _ => panic!("another order"),
        }
    }

    #[tokio::test]
    async fn r086_r089_r091_sources_are_asked_in_the_drafts_order() {
        let mut stage = stage(1).await;
        assert_eq!(stage.chain.once().await, None);
        let mut tried = Vec::new();
        while let Ok(order) = stage.ordered.try_recv() {
            tried.extend(urls(order));
        }
        let expected = [
            "ws://127.0.0.1:2/cached",
            "ws://127.0.0.1:3/last",
            "ws://127.0.0.1:4/p2psip",
            "ws://127.0.0.1:1/0",
        ];
        assert_eq!(tried, expected);
        assert!(stage.asked.try_recv().is_ok());
        // With a super node that was met before, nobody else is asked.
        stage.status.send_modify(|status| status.associations = 1);
        assert_eq!(stage.chain.once().await, Some(Source::Cached));
        assert!(
            stage.asked.try_recv().is_err(),
            "the bootstrap server was asked"
        );
    }

    #[tokio::test]
    async fn a01_r093_a_bootstrap_server_that_names_a_thousand_is_followed_to_few() {
        let mut stage = stage(1_000).await;
        assert_eq!(stage.chain.once().await, None);
        let mut last = Vec::new();
        while let Ok(order) = stage.ordered.try_recv() {
            last = urls(order);
        }
        assert_eq!(last.len(), 24);
    }
}
