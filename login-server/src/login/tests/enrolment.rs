//! Super nodes: tokens, certificates, names.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use credential::{MemberStatement, RevocationList};

use super::browser::{Answer, Browser};
use super::device::{Device, certificate};
use super::stage::{PAGE, Stage};
use crate::proof;
use crate::wire::{Delegation, EnrolRequest, Enrolment, PhoneRequest, phone_text};

const HOUR: Duration = Duration::from_secs(3_600);
const NAME: &str = "https://sn9.example.net";

async fn enrol(browser: &mut Browser, device: &Device, token: &str, name: &str) -> Answer {
    let request = EnrolRequest {
        token: token.into(),
        public_key: device.public_key(),
        names: vec![name.into()],
        quic: "192.0.2.1:4433".into(),
    };
    browser.post("/enrol", None, &request).await
}

#[tokio::test]
async fn r107_a_node_with_a_token_becomes_a_super_node() {
    let stage = Stage::new().await;
    let token = stage.server.enrolment_token(1, HOUR).await.unwrap();
    let (mut browser, device) = (stage.browser(), Device::new());
    let answer = enrol(&mut browser, &device, &token, NAME).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let enrolment: Enrolment = answer.document();

    let anchor = stage.server.authority.anchor();
    let nothing = RevocationList::empty(anchor.overlay());
    let admitted = proof::admit(anchor, &enrolment.certificate, &nothing, stage.now()).unwrap();
    assert_eq!(admitted.node().unwrap().to_string(), enrolment.node);
    assert_eq!(admitted.public_key(), device.key());
    assert_eq!(admitted.not_after(), stage.now() + 30 * 24 * 3_600_000);

    let statement =
        MemberStatement::read(&BASE64_STANDARD.decode(&enrolment.statement).unwrap()).unwrap();
    assert_eq!(
        (statement.node, statement.key),
        (admitted.node().unwrap(), device.key())
    );
    assert_eq!(
        (statement.serial, statement.not_after),
        (admitted.serial(), admitted.not_after())
    );
    let check = anchor
        .admit_member(&statement, stage.now(), &nothing)
        .unwrap();
    assert!(proof::holds(&check));
}

#[tokio::test]
async fn a22_a_token_is_good_for_its_uses_and_its_time() {
    let stage = Stage::new().await;
    let mut browser = stage.browser();
    let once = stage.server.enrolment_token(1, HOUR).await.unwrap();
    let twice = stage.server.enrolment_token(2, HOUR).await.unwrap();
    let late = stage.server.enrolment_token(1, HOUR).await.unwrap();
    let refused = (403, "invalid_token".to_owned());
    let mut nodes = Vec::new();
    for (token, uses) in [(&once, 1), (&twice, 2)] {
        for _ in 0..uses {
            let answer = enrol(&mut browser, &Device::new(), token, NAME).await;
            nodes.push(answer.document::<Enrolment>().node);
        }
        assert_eq!(
            enrol(&mut browser, &Device::new(), token, NAME)
                .await
                .refusal(),
            refused
        );
    }
    nodes.sort();
    nodes.dedup();
    assert_eq!(nodes.len(), 3, "the authority chose an id for each");
    stage.pass(HOUR + Duration::from_millis(1));
    assert_eq!(
        enrol(&mut browser, &Device::new(), &late, NAME)
            .await
            .refusal(),
        refused
    );
    assert_eq!(
        enrol(&mut browser, &Device::new(), "made-up", NAME)
            .await
            .refusal(),
        refused
    );
}

#[tokio::test]
async fn a_request_that_cannot_be_granted_uses_no_token_up() {
    let stage = Stage::new().await;
    let token = stage.server.enrolment_token(1, HOUR).await.unwrap();
    let mut browser = stage.browser();
    for name in [
        "http://sn9.example.net",
        "https://sn9.example.net/path",
        "sn9.example.net",
        "javascript:x",
    ] {
        let answer = enrol(&mut browser, &Device::new(), &token, name).await;
        assert_eq!(answer.refusal(), (400, "invalid_request".into()), "{name}");
    }
    assert_eq!(
        enrol(&mut browser, &Device::new(), &token, NAME)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_token_is_kept_as_a_hash_only() {
    let stage = Stage::new().await;
    let token = stage.server.enrolment_token(1, HOUR).await.unwrap();
    for entry in std::fs::read_dir(stage.data.path().join("login")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(
            !bytes
                .windows(token.len())
                .any(|window| window == token.as_bytes())
        );
    }
}

#[tokio::test]
async fn pages_of_an_enrolled_super_node_may_ask_for_credentials() {
    let stage = Stage::new().await;
    let (mut browser, device) = (stage.account("alice").await, Device::new());
    let request =
        serde_json::json!({ "public_key": device.public_key(), "instance": device.instance });
    let asked = device.authorize_but("redirect_uri", Some(NAME));
    assert_eq!(browser.get(&asked).await.status, 400);
    assert_eq!(
        browser.post("/guest", Some(NAME), &request).await.refusal(),
        (403, "foreign_origin".into())
    );

    let token = stage.server.enrolment_token(1, HOUR).await.unwrap();
    let enrolment: Enrolment = enrol(&mut browser, &Device::new(), &token, NAME)
        .await
        .document();
    assert_eq!(browser.get(&asked).await.status, 200);
    let answer = browser.post("/guest", Some(NAME), &request).await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (200, NAME)
    );

    assert!(
        stage
            .server
            .revoke_super_node(enrolment.node.parse().unwrap())
            .await
            .unwrap()
    );
    assert_eq!(
        browser.get(&asked).await.status,
        400,
        "taken out of the network"
    );
    assert_eq!(
        browser.get(&device.authorize()).await.status,
        200,
        "{PAGE} is the operator's"
    );
}

#[tokio::test]
async fn a_super_node_renews_with_its_key_and_keeps_its_id() {
    let stage = Stage::new().await;
    let token = stage.server.enrolment_token(1, HOUR).await.unwrap();
    let (mut browser, device) = (stage.browser(), Device::new());
    let first: Enrolment = enrol(&mut browser, &device, &token, NAME).await.document();
    stage.pass(HOUR * 24 * 15);
    let request = device.enrol_renewal(&first, "https://moved.example.net", stage.now());
    let second: Enrolment = browser
        .post("/enrol/renew", None, &request)
        .await
        .document();
    assert_eq!(second.node, first.node);
    assert_eq!(second.expires, stage.now() + 30 * 24 * 3_600_000);
    let answer = browser.post("/enrol/renew", None, &request).await;
    assert_eq!(answer.refusal(), (403, "replayed".into()));
    let names = stage
        .server
        .store
        .members(stage.now() as i64)
        .await
        .unwrap();
    assert_eq!(names.len(), 1);
    assert_eq!(names[0].names, "https://moved.example.net");

    stage.pass(Duration::from_secs(1));
    let mut altered = device.enrol_renewal(&second, NAME, stage.now());
    altered.names = vec!["https://evil.example".into()];
    let answer = browser.post("/enrol/renew", None, &altered).await;
    assert_eq!(answer.refusal(), (403, "invalid_signature".into()));

    assert!(
        stage
            .server
            .revoke_super_node(first.node.parse().unwrap())
            .await
            .unwrap()
    );
    let request = device.enrol_renewal(&second, NAME, stage.now());
    let answer = browser.post("/enrol/renew", None, &request).await;
    assert_eq!(answer.refusal(), (403, "credential_revoked".into()));
    let list = stage.server.revocations().await.unwrap();
    assert!(list.contains(certificate(&first.certificate).serial()));
    assert!(list.contains(certificate(&second.certificate).serial()));
}

#[tokio::test]
async fn a05_r124_a_users_certificate_is_no_super_nodes_and_the_reverse() {
    let stage = Stage::new().await;
    let token = stage.server.enrolment_token(1, HOUR).await.unwrap();
    let (mut browser, user, node) = (stage.account("alice").await, Device::new(), Device::new());
    let credential = stage.credential(&mut browser, &user).await;
    let enrolment: Enrolment = enrol(&mut browser, &node, &token, NAME).await.document();
    let refused = (403, "invalid_credential".to_owned());

    let as_node = Enrolment {
        certificate: credential.certificate.clone(),
        ..enrolment.clone()
    };
    let request = user.enrol_renewal(&as_node, NAME, stage.now());
    assert_eq!(
        browser.post("/enrol/renew", None, &request).await.refusal(),
        refused
    );
    let as_user = crate::wire::Credential {
        certificate: enrolment.certificate,
        ..credential
    };
    let request = node.renewal(&as_user, &node, stage.now());
    assert_eq!(
        browser.post("/renew", None, &request).await.refusal(),
        refused
    );
}

/// Asks for a certificate that lets the super node speak for a phone.
async fn delegate(stage: &Stage, node: (&Device, &str), user: &str) -> Answer {
    let (device, certificate) = node;
    let overlay = stage.server.overlay();
    let timestamp = stage.now();
    let request = PhoneRequest {
        certificate: certificate.into(),
        user: user.into(),
        timestamp,
        signature: device.sign(&phone_text(&overlay, timestamp, user)),
    };
    stage.browser().post("/phone", None, &request).await
}

#[tokio::test]
async fn r077_a_super_node_may_speak_for_phones_but_for_nobody_with_an_account() {
    let stage = Stage::with(|config| config.phones = true).await;
    let token = stage.server.enrolment_token(1, HOUR).await.unwrap();
    let (mut browser, device) = (stage.browser(), Device::new());
    let enrolment: Enrolment = enrol(&mut browser, &device, &token, NAME).await.document();
    let node = (&device, enrolment.certificate.as_str());

    let answer = delegate(&stage, node, "desk").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let delegation: Delegation = answer.document();
    let anchor = stage.server.authority.anchor();
    let nothing = RevocationList::empty(anchor.overlay());
    let admitted = proof::admit(anchor, &delegation.certificate, &nothing, stage.now()).unwrap();
    let registrar = admitted.registrar().unwrap();
    assert_eq!(registrar.to_string(), enrolment.node);
    assert_eq!(admitted.user().unwrap().0, "sip:desk@example.org");
    assert_eq!(admitted.public_key(), device.key());
    assert_eq!(admitted.not_after(), stage.now() + 24 * 3_600_000);

    stage.account("alice").await;
    for (user, status) in [
        ("alice", 403),
        ("ALICE", 403),
        ("guest-1", 400),
        ("a@b", 400),
        ("", 400),
    ] {
        assert_eq!(delegate(&stage, node, user).await.status, status, "{user}");
    }
    // A delegated certificate is no super node's, and does not renew itself.
    let answer = delegate(&stage, (&device, &delegation.certificate), "other").await;
    assert_eq!(answer.status, 403);
    // Another key signs.
    let answer = delegate(&stage, (&Device::new(), node.1), "desk").await;
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn r077_without_the_operators_word_no_phone_is_spoken_for() {
    let stage = Stage::new().await;
    let token = stage.server.enrolment_token(1, HOUR).await.unwrap();
    let (mut browser, device) = (stage.browser(), Device::new());
    let enrolment: Enrolment = enrol(&mut browser, &device, &token, NAME).await.document();
    let answer = delegate(&stage, (&device, &enrolment.certificate), "desk").await;
    assert_eq!(answer.status, 403);
}
