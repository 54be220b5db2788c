use std::path::Path;

use super::*;
use crate::crypto::Key;
use crate::testing::{Offline, super_node_config};
use crate::tls;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

struct Stage {
    prober: Prober,
    target: Target,
    user: Key,
    request: Request,
    _overlay: Offline,
}

fn identity(data: &Path, clock: &Clock) -> Identity {
    let vault = crate::identity::Vault::open(data).unwrap();
    let key = vault.key().unwrap();
    vault.identity(&key, clock.wall()).unwrap().unwrap()
}

async fn stage() -> Stage {
    let (overlay, clock) = (Offline::new(), Clock::start());
    let data = overlay.path("1");
    overlay.issue_super_node(data.clone(), 30).unwrap();
    let identity = identity(&data, &clock);
    let list = RevocationList::empty(identity.anchor.overlay());
    let client = Client::new(tls::client(None).unwrap());
    let mut prober = Prober::new(
        clock,
        client,
        watch::channel(identity.clone()).1,
        watch::channel(list).1,
    );
    prober.patience = crate::testing::PATIENCE;
    let config = super_node_config(&overlay.path("2"), "url = \"http://127.0.0.1:0\"\n");
    let target = Target::open(&config, Key::generate()).await.unwrap();
    let data = overlay.user("alice");
    let text = std::fs::read(data.join("credential.json")).unwrap();
    let credential: login_server::wire::Credential = serde_json::from_slice(&text).unwrap();
    let vault = crate::identity::Vault::open(&data).unwrap();
    let user = vault.named_key("user.key").unwrap();
    let mut stage = Stage {
        prober,
        request: Request {
            certificate: credential.certificate,
            public_key: STANDARD.encode(target.key.public().to_spki()),
            quic: target.config.quic_public(),
            url: target.config.url.to_string(),
            timestamp: clock.wall(),
            signature: String::new(),
        },
        target,
        user,
        _overlay: overlay,
    };
    stage.sign();
    stage
}

impl Stage {
    fn sign(&mut self) {
        let overlay = self.prober.identity.borrow().anchor.overlay().to_string();
        let text = text(&overlay, &self.request);
        self.request.signature = STANDARD.encode(self.user.sign(text.as_bytes()).0);
    }

    async fn ask(&self, from: IpAddr) -> Result<Found, Refused> {
        self.prober.asked.lock().unwrap().clear();
        let body = serde_json::to_vec(&self.request).unwrap();
        self.prober.answer(&body, from).await
    }
}

#[tokio::test]
async fn r119_a_node_that_listens_is_reached_and_measured() {
    let stage = stage().await;
    let found = stage.ask(HERE).await.unwrap();
    assert!(found.reached, "{}", found.why);
    assert!(found.upload.unwrap() > 0.0);
}

#[tokio::test]
async fn r119_a27_who_does_not_hold_the_key_or_listens_elsewhere_is_not_reached() {
    let mut stage = stage().await;
    let other = Key::generate();
    stage.request.public_key = STANDARD.encode(other.public().to_spki());
    stage.sign();
    let found = stage.ask(HERE).await.unwrap();
    assert!(
        !found.reached && found.why.contains("QUIC"),
        "{}",
        found.why
    );

    // The QUIC side is right, and the page is another node's.
    stage.request.public_key = STANDARD.encode(stage.target.key.public().to_spki());
    let config = super_node_config(Path::new("unused"), "url = \"http://127.0.0.1:0\"\n");
    let neighbour = Target::open(&config, Key::generate()).await.unwrap();
    stage.request.url = neighbour.config.url.to_string();
    stage.sign();
    let found = stage.ask(HERE).await.unwrap();
    assert!(
        !found.reached && found.why.contains("another node"),
        "{}",
        found.why
    );
}

#[tokio::test]
async fn a27_r100_nobody_has_a_third_party_knocked_at() {
    let mut stage = stage().await;
    let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    assert_eq!(stage.ask(elsewhere).await, Err(Refused::Elsewhere));
    let good = stage.request.clone();
    stage.request.quic = "192.0.2.1:4433".to_owned();
    stage.sign();
    assert_eq!(stage.ask(HERE).await, Err(Refused::Elsewhere));
    stage.request = good;
    stage.request.url = "https://192.0.2.1:8080".to_owned();
    stage.sign();
    assert_eq!(stage.ask(HERE).await, Err(Refused::Elsewhere));
}

#[tokio::test]
async fn a27_a_super_node_tries_few_at_a_time_and_each_user_now_and_then() {
    let mut stage = stage().await;
    let all = stage
        .prober
        .slots
        .try_acquire_many(PARALLEL as u32)
        .unwrap();
    assert_eq!(stage.ask(HERE).await, Err(Refused::Busy));
    drop(all);

    let good = serde_json::to_vec(&stage.request).unwrap();
    stage.request.signature = STANDARD.encode([7; 64]);
    assert_eq!(stage.ask(HERE).await, Err(Refused::Proof));
    let found = stage.prober.answer(&good, HERE).await.unwrap();
    assert!(found.reached, "a forged request keeps nobody waiting");
    let again = stage.prober.answer(&good, HERE).await;
    assert_eq!(again, Err(Refused::Busy));
}

#[tokio::test]
async fn a27_r124_who_is_no_member_or_asks_too_often_is_refused() {
    let mut stage = stage().await;
    let good = stage.request.clone();
    stage.request.quic = "127.0.0.1:1".to_owned();
    assert_eq!(stage.ask(HERE).await, Err(Refused::Proof), "altered");
    stage.request = good.clone();
    stage.request.timestamp -= 2 * SKEW;
    stage.sign();
    assert_eq!(stage.ask(HERE).await, Err(Refused::Proof), "old");

    // A super node's certificate is not a user's.
    stage.request = good.clone();
    let node = stage.prober.identity.borrow().clone();
    stage.request.certificate = STANDARD.encode(node.certificate.der());
    stage.user = node.key;
    stage.sign();
    let refused = stage.ask(HERE).await;
    assert_eq!(refused, Err(Refused::Certificate(Refusal::Role)));

    assert_eq!(stage.prober.count("sip:bob@example.org"), Ok(()));
    let again = stage.prober.count("sip:bob@example.org");
    assert_eq!(again, Err(Refused::Busy));
    assert_eq!(stage.prober.answer(b"{}", HERE).await, Err(Refused::Form));
}
