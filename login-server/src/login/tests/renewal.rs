//! Guests, and renewal by the current key.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};

use super::browser::Browser;
use super::device::{Device, certificate};
use super::stage::{PAGE, Stage};
use crate::wire::Credential;

const DAY: Duration = Duration::from_secs(24 * 3_600);

async fn guest(browser: &mut Browser, device: &Device, name: Option<&str>) -> Credential {
    let request = serde_json::json!({
        "public_key": device.public_key(), "instance": device.instance, "name": name,
    });
    let answer = browser.post("/guest", Some(PAGE), &request).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.document()
}

#[tokio::test]
async fn r107_a_guest_gets_a_name_and_half_a_day() {
    let stage = Stage::new().await;
    let (mut browser, device) = (stage.browser(), Device::new());
    let credential = guest(&mut browser, &device, None).await;
    assert!(
        credential.guest && credential.name.starts_with("guest-"),
        "{}",
        credential.name
    );
    assert_eq!(
        credential.uri,
        format!("sip:{}@example.org", credential.name)
    );
    assert_eq!(credential.expires, stage.now() + 12 * 3_600_000);
    assert_eq!(
        certificate(&credential.certificate).public_key(),
        device.key()
    );
    let other = guest(&mut browser, &Device::new(), Some("Ann <b>")).await;
    assert!(other.name.starts_with("guest-annb-"), "{}", other.name);
}

#[tokio::test]
async fn an_operator_may_take_no_guests() {
    let stage = Stage::with(|config| config.guests = false).await;
    let (mut browser, device) = (stage.browser(), Device::new());
    let request =
        serde_json::json!({ "public_key": device.public_key(), "instance": device.instance });
    let answer = browser.post("/guest", Some(PAGE), &request).await;
    assert_eq!(answer.refusal(), (403, "no_guests".into()));
}

#[tokio::test]
async fn a_guest_cannot_stay_for_ever() {
    let stage = Stage::new().await;
    let (mut browser, device) = (stage.browser(), Device::new());
    let mut credential = guest(&mut browser, &device, None).await;
    let end = stage.now() + 7 * 24 * 3_600_000;
    for _ in 0..14 {
        stage.pass(Duration::from_secs(12 * 3_600 - 60));
        let request = device.renewal(&credential, &device, stage.now());
        credential = browser
            .post("/renew", Some(PAGE), &request)
            .await
            .document();
        assert!(credential.guest && credential.expires <= end);
    }
    stage.pass(Duration::from_secs(13 * 60));
    let request = device.renewal(&credential, &device, stage.now());
    let answer = browser.post("/renew", Some(PAGE), &request).await;
    assert_eq!(
        answer.status, 200,
        "his time is not over yet: {}",
        answer.text
    );
    stage.pass(Duration::from_secs(2 * 60));
    let request = device.renewal(&answer.document(), &device, stage.now());
    assert_eq!(
        browser.post("/renew", Some(PAGE), &request).await.status,
        403
    );
}

#[tokio::test]
async fn the_current_key_renews_and_may_name_its_successor() {
    let stage = Stage::new().await;
    let (mut browser, device, next) = (stage.account("alice").await, Device::new(), Device::new());
    let first = stage.credential(&mut browser, &device).await;
    stage.pass(DAY * 4);
    let request = device.renewal(&first, &next, stage.now());
    let second: Credential = browser
        .post("/renew", Some(PAGE), &request)
        .await
        .document();
    assert_eq!(second.uri, "sip:alice@example.org");
    assert_eq!(second.expires, stage.now() + 7 * 24 * 3_600_000);
    let (old, new) = (
        certificate(&first.certificate),
        certificate(&second.certificate),
    );
    assert_eq!(new.public_key(), next.key());
    assert_eq!(
        new.subject(),
        old.subject(),
        "the same user on the same device"
    );
    assert_ne!(new.serial(), old.serial());
}

#[tokio::test]
async fn a07_a_renewal_cannot_be_replayed_or_altered() {
    let stage = Stage::new().await;
    let (mut browser, device, other) = (stage.account("alice").await, Device::new(), Device::new());
    let credential = stage.credential(&mut browser, &device).await;
    let request = device.renewal(&credential, &device, stage.now());
    assert_eq!(
        browser.post("/renew", Some(PAGE), &request).await.status,
        200
    );
    assert_eq!(
        browser.post("/renew", Some(PAGE), &request).await.refusal(),
        (403, "replayed".into())
    );

    stage.pass(Duration::from_secs(1));
    let mut altered = device.renewal(&credential, &device, stage.now());
    altered.public_key = other.public_key();
    let signature = (403, "invalid_signature".to_owned());
    assert_eq!(
        browser.post("/renew", Some(PAGE), &altered).await.refusal(),
        signature
    );
    let mut altered = device.renewal(&credential, &device, stage.now());
    altered.timestamp += 1;
    assert_eq!(
        browser.post("/renew", Some(PAGE), &altered).await.refusal(),
        signature
    );
    let stranger = other.renewal(&credential, &other, stage.now());
    assert_eq!(
        browser
            .post("/renew", Some(PAGE), &stranger)
            .await
            .refusal(),
        signature
    );

    for wrong in [stage.now() + 11 * 60_000, stage.now() - 11 * 60_000] {
        let request = device.renewal(&credential, &device, wrong);
        assert_eq!(
            browser.post("/renew", Some(PAGE), &request).await.refusal(),
            (403, "wrong_clock".into())
        );
    }
}

#[tokio::test]
async fn a07_an_expired_certificate_is_not_renewed() {
    let stage = Stage::new().await;
    let (mut browser, device) = (stage.account("alice").await, Device::new());
    let credential = stage.credential(&mut browser, &device).await;
    stage.pass(DAY * 7 + Duration::from_secs(1));
    let request = device.renewal(&credential, &device, stage.now());
    let answer = browser.post("/renew", Some(PAGE), &request).await;
    assert_eq!(answer.refusal(), (403, "credential_expired".into()));
}

#[tokio::test]
async fn a_revoked_device_is_not_renewed_until_its_user_signs_in_on_it() {
    let stage = Stage::new().await;
    let (mut browser, device) = (stage.account("alice").await, Device::new());
    let credential = stage.credential(&mut browser, &device).await;
    let page = browser.get("/account").await;
    let id = stage
        .server
        .store
        .device("alice", &format!("urn:uuid:{}", device.instance))
        .await
        .unwrap()
        .unwrap()
        .id;
    browser
        .submit("/account/devices/revoke", &page, &[("device", &id)])
        .await;
    let request = device.renewal(&credential, &device, stage.now());
    let refused = (403, "credential_revoked".to_owned());
    assert_eq!(
        browser.post("/renew", Some(PAGE), &request).await.refusal(),
        refused
    );

    let again = stage.credential(&mut browser, &device).await;
    assert_eq!(
        browser.post("/renew", Some(PAGE), &request).await.refusal(),
        refused,
        "the old one stays revoked"
    );
    let request = device.renewal(&again, &device, stage.now());
    assert_eq!(
        browser.post("/renew", Some(PAGE), &request).await.status,
        200
    );
}

#[tokio::test]
async fn r018_a_certificate_of_another_network_is_not_renewed() {
    let (stage, other) = (Stage::new().await, Stage::new().await);
    let (mut browser, device) = (other.account("alice").await, Device::new());
    let foreign = other.credential(&mut browser, &device).await;
    stage.account("alice").await;
    let request = device.renewal(&foreign, &device, stage.now());
    let answer = stage.browser().post("/renew", Some(PAGE), &request).await;
    assert_eq!(answer.refusal(), (403, "invalid_credential".into()));
}

#[tokio::test]
async fn a_certificate_that_the_accounts_know_nothing_of_is_not_renewed() {
    let stage = Stage::new().await;
    let (mut browser, device) = (stage.account("alice").await, Device::new());
    let mut credential = stage.credential(&mut browser, &device).await;
    // as after the accounts were restored from a copy that is older than the certificate
    let unknown = stage
        .server
        .authority
        .certify_user(
            device.key(),
            &credential.uri,
            device.instance.parse().unwrap(),
            stage.now(),
            credential.expires,
        )
        .unwrap();
    credential.certificate = BASE64_STANDARD.encode(unknown.der());
    let request = device.renewal(&credential, &device, stage.now());
    let answer = browser.post("/renew", Some(PAGE), &request).await;
    assert_eq!(answer.refusal(), (403, "credential_revoked".into()));
}

#[tokio::test]
async fn lifetimes_are_the_operators() {
    let stage =
        Stage::with(|config| (config.lifetimes.user, config.lifetimes.guest) = (3, 2)).await;
    let (mut browser, device) = (stage.account("alice").await, Device::new());
    assert_eq!(
        stage.credential(&mut browser, &device).await.expires,
        stage.now() + 3_000
    );
    assert_eq!(
        guest(&mut browser, &device, None).await.expires,
        stage.now() + 2_000
    );
}

#[tokio::test]
async fn a_device_signs_itself_out_for_good() {
    let stage = Stage::new().await;
    let (mut browser, device, thief) = (stage.account("alice").await, Device::new(), Device::new());
    let credential = stage.credential(&mut browser, &device).await;
    let forged = thief.revocation(&credential, stage.now());
    assert_eq!(
        browser.post("/revoke", Some(PAGE), &forged).await.refusal(),
        (403, "invalid_signature".into())
    );
    let renewal = device.renewal(&credential, &device, stage.now());
    let mut mistaken = device.revocation(&credential, stage.now());
    mistaken.signature = renewal.signature;
    assert_eq!(
        browser
            .post("/revoke", Some(PAGE), &mistaken)
            .await
            .refusal(),
        (403, "invalid_signature".into()),
        "a signed renewal is no sign-out"
    );
    let request = device.revocation(&credential, stage.now());
    let answer = browser.post("/revoke", Some(PAGE), &request).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let serial = certificate(&credential.certificate).serial();
    assert!(
        stage
            .server
            .revocations()
            .await
            .unwrap()
            .serials()
            .contains(&serial)
    );
    let renewal = device.renewal(&credential, &device, stage.now());
    for (path, answer) in [
        ("/renew", browser.post("/renew", Some(PAGE), &renewal).await),
        (
            "/revoke",
            browser.post("/revoke", Some(PAGE), &request).await,
        ),
    ] {
        assert_eq!(
            answer.refusal(),
            (403, "credential_revoked".into()),
            "{path}"
        );
    }
}
