use super::*;
use crate::testing::Overlay;
use p2psip::Relays;

struct Stage {
    giver: Giver,
    issuer: Identity,
    overlay: Overlay,
    request: Request,
    _revocations: watch::Sender<RevocationList>,
    _identity: watch::Sender<Identity>,
}

const URLS: [&str; 2] = [
    "turn:sn1.example.org:3478",
    "turns:sn1.example.org:5349?transport=tcp",
];

async fn stage() -> Stage {
    let overlay = Overlay::new().await;
    let (relay, issuer) = (overlay.super_node().await, overlay.super_node().await);
    let (revocations, revoked) = watch::channel(RevocationList::empty(relay.anchor.overlay()));
    let (identity, current) = watch::channel(relay);
    let own = (Secret::new([7; 32]), URLS.map(str::to_owned).to_vec());
    let giver = Giver::new(overlay.clock, current, revoked, Some(own));
    let request = Request {
        certificate: String::new(),
        timestamp: overlay.clock.wall(),
        signature: String::new(),
    };
    let mut stage = Stage {
        giver,
        issuer,
        overlay,
        request,
        _revocations: revocations,
        _identity: identity,
    };
    stage.sign();
    stage
}

impl Stage {
    fn sign(&mut self) {
        let relay = self.giver.identity.borrow().node;
        let text = text(
            &self.issuer.anchor.overlay().to_string(),
            relay,
            self.request.timestamp,
        );
        self.request.certificate = STANDARD.encode(self.issuer.certificate.der());
        self.request.signature = STANDARD.encode(self.issuer.key.sign(text.as_bytes()).0);
    }

    fn ask(&self) -> Result<Given, Refused> {
        self.giver
            .answer(&serde_json::to_vec(&self.request).unwrap())
    }
}

#[tokio::test]
async fn r113_a_super_node_names_the_relay_of_another_with_a_credential_for_each_user() {
    let stage = stage().await;
    let relay = stage.ask().unwrap().read(stage.issuer.node).unwrap();
    let (sender, relays) = watch::channel(vec![relay]);
    let named = Named(relays);
    let texts = ["sip:alice@example.org", "sip:bob@example.org"].map(|uri| named.named_to(uri));
    assert_ne!(texts[0], texts[1]);
    let words: Vec<_> = texts[0][0].split(' ').collect();
    assert_eq!(words[..2], URLS);
    assert!(!texts[0][0].contains("alice"));
    // What the relay itself would make of it.
    let secret = Secret::new([7; 32]);
    let key = secret.issuing_key(stage.issuer.node.0, stage.overlay.clock.wall() / 1_000);
    let ticket = key.issue("sip:alice@example.org");
    assert_eq!(words[2..], [&ticket.username, &ticket.password]);
    sender.send_replace(Vec::new());
    assert!(named.named_to("sip:alice@example.org").is_empty());
}

#[tokio::test]
async fn r116_only_a_super_node_of_the_overlay_gets_what_it_needs_to_name_a_relay() {
    let mut stage = stage().await;
    let good = stage.request.clone();
    stage.request.timestamp += 1;
    assert_eq!(stage.ask(), Err(Refused::Proof));
    stage.request.timestamp -= SKEW + 10_000;
    stage.sign();
    assert_eq!(stage.ask(), Err(Refused::Proof));
    stage.request = good.clone();
    stage.request.certificate = "AAAA".to_owned();
    assert_eq!(stage.ask(), Err(Refused::Form));
    // What was said to one relay is nothing to another.
    let text = text(
        &stage.issuer.anchor.overlay().to_string(),
        stage.issuer.node,
        good.timestamp,
    );
    stage.request = good.clone();
    stage.request.signature = STANDARD.encode(stage.issuer.key.sign(text.as_bytes()).0);
    assert_eq!(stage.ask(), Err(Refused::Proof));
    let honest = std::mem::replace(&mut stage.issuer, stage.overlay.user_as_super_node().await);
    stage.request = good.clone();
    stage.sign();
    assert_eq!(stage.ask(), Err(Refused::Certificate(Refusal::Role)));
    stage.issuer = Overlay::new().await.super_node().await;
    stage.sign();
    assert!(matches!(
        stage.ask(),
        Err(Refused::Certificate(_) | Refused::Proof)
    ));
    stage.issuer = honest;
    let list = stage.overlay.revoke(stage.issuer.node).await;
    stage._revocations.send_replace(list);
    stage.request = good;
    assert_eq!(stage.ask(), Err(Refused::Certificate(Refusal::Revoked)));
}

#[test]
fn a33_what_is_no_relay_is_not_named() {
    let given = |urls: &[&str], key: &str| Given {
        urls: urls.iter().map(|url| (*url).to_owned()).collect(),
        expires: 1,
        key: key.to_owned(),
        names: STANDARD.encode([1; 32]),
    };
    let key = STANDARD.encode([1; 32]);
    let issuer = NodeId([1; 20]);
    assert!(given(&URLS, &key).read(issuer).is_some());
    for urls in [&[][..], &["https://a"], &["turn:a b"], &["turn:a"; 5]] {
        assert!(given(urls, &key).read(issuer).is_none(), "{urls:?}");
    }
    assert!(given(&URLS, "AAAA").read(issuer).is_none());
}
