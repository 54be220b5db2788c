//! The bootstrap server over real connections. It and the login server that certifies the nodes share nothing but
//! the root certificate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::{Method, header};
use tokio::net::TcpListener;

use super::{BootstrapConfig, BootstrapServer, RootFault};
use crate::Clock;
use crate::login::tests::{Browser, Device, START, Stage, serve};
use crate::wire::{self, Enrolment, Report, SuperNodes};

/// A bootstrap server that listens, and the login server of its overlay.
struct Scene {
    bootstrap: Arc<BootstrapServer>,
    login: Stage,
    address: SocketAddr,
    clock: Arc<AtomicU64>,
}

impl Scene {
    async fn new(config: BootstrapConfig) -> Self {
        let login = Stage::new().await;
        let clock = Arc::new(AtomicU64::new(START));
        let read = clock.clone();
        let time = Clock::new(move || read.load(Ordering::SeqCst));
        let bootstrap = BootstrapServer::open(config, login.server.root(), time).unwrap();
        let bootstrap = Arc::new(bootstrap);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = bootstrap.clone();
        tokio::spawn(serve(listener, move |request, peer| {
            let server = served.clone();
            async move { server.handle(request, peer).await }
        }));
        Self {
            bootstrap,
            login,
            address,
            clock,
        }
    }

    fn now(&self) -> u64 {
        self.clock.load(Ordering::SeqCst)
    }

    fn pass(&self, time: Duration) {
        self.clock
            .fetch_add(time.as_millis() as u64, Ordering::SeqCst);
    }

    fn browser(&self) -> Browser {
        Browser::new(self.address)
    }

    async fn node(&self) -> (Device, Enrolment) {
        let token = self
            .login
            .server
            .enrolment_token(1, Duration::from_secs(60))
            .await
            .unwrap();
        let device = Device::new();
        let request = wire::EnrolRequest {
            token,
            public_key: device.public_key(),
            names: vec!["https://sn1.example.org".into()],
            quic: "192.0.2.1:4433".into(),
        };
        let answer = self.login.browser().post("/enrol", None, &request).await;
        (device, answer.document())
    }

    async fn list(&self) -> Vec<String> {
        let answer = self.browser().get("/super-nodes").await;
        assert_eq!(
            (answer.status, answer.header("access-control-allow-origin")),
            (200, "*")
        );
        let list: SuperNodes = answer.document();
        list.super_nodes
            .into_iter()
            .map(|node| format!("{} {} {}", node.node, node.ws, node.quic))
            .collect()
    }
}

const WS: &str = "wss://sn1.example.org/p2psip";
const QUIC: &str = "192.0.2.1:4433";

fn report(device: &Device, certificate: &str, overlay: &str, timestamp: u64) -> Report {
    let text = wire::report_text(overlay, timestamp, WS, QUIC);
    let (certificate, signature) = (certificate.to_owned(), device.sign(&text));
    Report {
        certificate,
        timestamp,
        ws: WS.into(),
        quic: QUIC.into(),
        signature,
    }
}

#[tokio::test]
async fn r090_a_super_node_is_listed_for_a_minute_after_its_report() {
    let scene = Scene::new(BootstrapConfig::default()).await;
    assert!(scene.list().await.is_empty());
    let (device, node) = scene.node().await;
    let line = format!("{} {WS} {QUIC}", node.node);
    for _ in 0..3 {
        let report = report(&device, &node.certificate, &node.overlay, scene.now());
        let answer = scene.browser().post("/super-nodes", None, &report).await;
        assert_eq!(answer.status, 204, "{}", answer.text);
        scene.pass(Duration::from_secs(20));
        assert_eq!(scene.list().await, [&*line]);
    }
    scene.pass(Duration::from_secs(40));
    assert_eq!(scene.list().await, [line]);
    scene.pass(Duration::from_secs(1));
    assert!(scene.list().await.is_empty());
}

#[tokio::test]
async fn a01_reports_that_prove_nothing_are_refused() {
    let scene = Scene::new(BootstrapConfig::default()).await;
    let (device, node) = scene.node().await;
    let (stranger, _) = scene.node().await;
    let elsewhere = Scene::new(BootstrapConfig::default()).await;
    let (foreign_device, foreign) = elsewhere.node().await;
    let (user, mut alice) = (Device::new(), scene.login.account("alice").await);
    let credential = scene.login.credential(&mut alice, &user).await;
    let (certificate, overlay, now) = (&node.certificate, &node.overlay, scene.now());

    let good = report(&device, certificate, overlay, now);
    let mut moved = good.clone();
    moved.ws = "wss://evil.example/p2psip".into();
    let mut clear = good.clone();
    clear.ws = "ws://sn1.example.org/p2psip".into();
    clear.signature = device.sign(&wire::report_text(overlay, now, &clear.ws, QUIC));
    for (case, report, status, error) in [
        (
            "another's key",
            report(&stranger, certificate, overlay, now),
            403,
            "invalid_signature",
        ),
        ("altered address", moved, 403, "invalid_signature"),
        (
            "signed for another overlay",
            report(&device, certificate, &foreign.overlay, now),
            403,
            "invalid_signature",
        ),
        (
            "another overlay",
            report(&foreign_device, &foreign.certificate, overlay, now),
            403,
            "invalid_credential",
        ),
        (
            "a user",
            report(&user, &credential.certificate, overlay, now),
            403,
            "invalid_credential",
        ),
        (
            "the root",
            report(&device, &node.root, overlay, now),
            403,
            "invalid_credential",
        ),
        (
            "no certificate",
            report(&device, "AAAA", overlay, now),
            403,
            "invalid_credential",
        ),
        (
            "from the past",
            report(&device, certificate, overlay, now - 700_000),
            403,
            "wrong_clock",
        ),
        (
            "from the future",
            report(&device, certificate, overlay, now + 700_000),
            403,
            "wrong_clock",
        ),
        ("clear text", clear, 400, "invalid_request"),
    ] {
        let answer = scene.browser().post("/super-nodes", None, &report).await;
        assert_eq!(answer.refusal(), (status, error.to_owned()), "{case}");
    }
    assert!(scene.list().await.is_empty());
    assert_eq!(
        scene
            .browser()
            .post("/super-nodes", None, &good)
            .await
            .status,
        204
    );
    let answer = scene.browser().post("/super-nodes", None, &good).await;
    assert_eq!(answer.refusal(), (403, "replayed".into()));

    scene.pass(Duration::from_secs(31 * 24 * 3_600));
    let late = report(&device, certificate, overlay, scene.now());
    let answer = scene.browser().post("/super-nodes", None, &late).await;
    assert_eq!(
        answer.refusal(),
        (403, "invalid_credential".into()),
        "expired"
    );
}

#[tokio::test]
async fn a_report_cannot_be_replayed_after_its_node_left() {
    let scene = Scene::new(BootstrapConfig::default()).await;
    let (device, node) = scene.node().await;
    let last = report(&device, &node.certificate, &node.overlay, scene.now());
    assert_eq!(
        scene
            .browser()
            .post("/super-nodes", None, &last)
            .await
            .status,
        204
    );
    scene.pass(Duration::from_secs(120));
    assert!(scene.list().await.is_empty());
    let answer = scene.browser().post("/super-nodes", None, &last).await;
    assert_eq!(answer.refusal(), (403, "replayed".into()));
    scene.pass(Duration::from_secs(600));
    let answer = scene.browser().post("/super-nodes", None, &last).await;
    assert_eq!(answer.refusal(), (403, "wrong_clock".into()));
}

#[tokio::test]
async fn a02_r094_a_revoked_super_node_leaves_the_list() {
    let scene = Scene::new(BootstrapConfig::default()).await;
    let (device, node) = scene.node().await;
    let first = report(&device, &node.certificate, &node.overlay, scene.now());
    assert_eq!(
        scene
            .browser()
            .post("/super-nodes", None, &first)
            .await
            .status,
        204
    );
    scene
        .login
        .server
        .revoke_super_node(node.node.parse().unwrap())
        .await
        .unwrap();
    let list = scene.login.browser().get("/revocations").await.bytes;

    let mut forged = list.to_vec();
    *forged.last_mut().unwrap() ^= 1;
    assert!(!scene.bootstrap.take_revocations(&forged));
    assert_eq!(scene.list().await.len(), 1);
    assert!(scene.bootstrap.take_revocations(&list));
    assert!(!scene.bootstrap.take_revocations(&list), "not newer");
    assert!(scene.list().await.is_empty());
    let again = report(&device, &node.certificate, &node.overlay, scene.now() + 1);
    let answer = scene.browser().post("/super-nodes", None, &again).await;
    assert_eq!(answer.refusal(), (403, "invalid_credential".into()));
}

#[tokio::test]
async fn the_list_is_bounded() {
    let scene = Scene::new(BootstrapConfig {
        most: 1,
        ..BootstrapConfig::default()
    })
    .await;
    let (first, second) = (scene.node().await, scene.node().await);
    let of = |(device, node): &(Device, Enrolment)| {
        report(device, &node.certificate, &node.overlay, scene.now())
    };
    assert_eq!(
        scene
            .browser()
            .post("/super-nodes", None, &of(&first))
            .await
            .status,
        204
    );
    let answer = scene
        .browser()
        .post("/super-nodes", None, &of(&second))
        .await;
    assert_eq!(answer.refusal(), (503, "temporarily_unavailable".into()));
    assert_eq!(answer.header("retry-after"), "60");
    assert!(
        scene.list().await[0].starts_with(&first.1.node),
        "who is listed stays"
    );
    scene.pass(Duration::from_secs(1));
    assert_eq!(
        scene
            .browser()
            .post("/super-nodes", None, &of(&first))
            .await
            .status,
        204
    );
}

#[tokio::test]
async fn a50_pages_do_not_report_and_floods_are_refused() {
    let scene = Scene::new(BootstrapConfig {
        limit: 4,
        ..BootstrapConfig::default()
    })
    .await;
    let mut browser = scene.browser();
    let answer = browser
        .post("/super-nodes", Some("https://sn1.example.org"), &())
        .await;
    assert_eq!(answer.refusal(), (403, "foreign_origin".into()));
    let headers = [(header::CONTENT_TYPE, "application/json")];
    let large = "x".repeat(17 * 1_024);
    assert_eq!(
        browser
            .send(Method::POST, "/super-nodes", &headers, &large)
            .await
            .status,
        413
    );
    assert_eq!(
        browser
            .send(Method::DELETE, "/super-nodes", &[], "")
            .await
            .status,
        405
    );
    assert_eq!(browser.get("/elsewhere").await.status, 404);
    let answer = browser.get("/super-nodes").await;
    assert_eq!(answer.refusal(), (429, "too_many_requests".into()));
    assert_eq!(answer.header("retry-after"), "15");
}

#[tokio::test]
async fn a_bootstrap_server_needs_a_root() {
    let scene = Scene::new(BootstrapConfig::default()).await;
    let (_, node) = scene.node().await;
    use base64::{Engine, prelude::BASE64_STANDARD};
    let certificate = BASE64_STANDARD.decode(node.certificate).unwrap();
    for no_root in [&certificate[..], b"", b"junk"] {
        let clock = Clock::new(|| START);
        let opened = BootstrapServer::open(BootstrapConfig::default(), no_root, clock);
        assert_eq!(opened.err(), Some(RootFault));
    }
}
