//! The authorization code with PKCE, from a page's request to its certificate, and each way in which it fails.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use credential::{RevocationList, TrustAnchor};

use super::device::{Device, address, certificate};
use super::stage::{PAGE, PASSWORD, START, Stage};
use crate::proof;
use crate::wire::Credential;

#[tokio::test]
async fn r107_a_page_gets_a_certificate_for_the_user_who_signed_in() {
    let stage = Stage::new().await;
    stage.account("alice").await;
    let (mut browser, device) = (stage.browser(), Device::new());

    let form = browser.get(&device.authorize()).await;
    assert_eq!(form.status, 200);
    assert!(
        form.text.contains("sn1.example.org"),
        "the user sees whom he signs in to"
    );
    let answer = browser
        .submit(
            "/sign-in",
            &form,
            &[("name", "alice"), ("password", PASSWORD)],
        )
        .await;
    assert_eq!(answer.status, 303);
    assert!(
        answer
            .location()
            .starts_with("https://sn1.example.org/#code="),
        "{}",
        answer.location()
    );
    assert_eq!(answer.fragment().first("state"), device.state);
    assert_eq!(
        answer.fragment().first("iss"),
        format!("http://{}", stage.address)
    );

    let answer = stage.redeem(&mut browser, &device, &answer.code()).await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (200, PAGE)
    );
    let credential: Credential = answer.document();
    assert_eq!(credential.uri, "sip:alice@example.org");
    assert_eq!(
        (credential.name.as_str(), credential.guest),
        ("alice", false)
    );
    assert_eq!(credential.domain, "example.org");

    let root = BASE64_STANDARD.decode(&credential.root).unwrap();
    assert_eq!(browser.get("/root").await.bytes, root);
    let anchor = TrustAnchor::read(&root).unwrap();
    assert_eq!(anchor.overlay().to_string(), credential.overlay);
    let nothing = RevocationList::empty(anchor.overlay());
    let admitted = proof::admit(&anchor, &credential.certificate, &nothing, START).unwrap();
    assert_eq!(admitted.public_key(), device.key());
    let instance = device.instance.parse().unwrap();
    assert_eq!(admitted.user(), Some(("sip:alice@example.org", instance)));
    assert_eq!(admitted.not_after(), START + 7 * 24 * 3_600_000);
    assert_eq!(admitted.not_after(), credential.expires);
}

#[tokio::test]
async fn r107_a_new_account_goes_straight_on_to_the_page() {
    let stage = Stage::new().await;
    let (mut browser, device) = (stage.browser(), Device::new());
    let form = browser
        .get(&device.authorize_but("prompt", Some("create")))
        .await;
    assert!(
        form.text
            .contains("<h1 id=\"title\">Create an account</h1>")
    );
    let fields = [
        ("name", "Bob"),
        ("password", PASSWORD),
        ("repeat", PASSWORD),
    ];
    let answer = browser.submit("/create-account", &form, &fields).await;
    let answer = stage.redeem(&mut browser, &device, &answer.code()).await;
    assert_eq!(answer.document::<Credential>().uri, "sip:bob@example.org");
}

#[tokio::test]
async fn who_is_signed_in_confirms_with_one_click() {
    let stage = Stage::new().await;
    let (mut browser, device) = (stage.account("alice").await, Device::new());
    let form = browser.get(&device.authorize()).await;
    assert!(form.text.contains("Continue as alice"));
    assert!(
        form.header("content-security-policy")
            .contains("form-action 'self' https://sn1.example.org;")
    );
    let answer = browser.submit("/authorize", &form, &[]).await;
    let answer = stage.redeem(&mut browser, &device, &answer.code()).await;
    assert_eq!(answer.document::<Credential>().name, "alice");
}

#[tokio::test]
async fn who_would_rather_not_goes_back_without_a_code() {
    let stage = Stage::new().await;
    let (mut browser, device) = (stage.browser(), Device::new());
    let answer = browser.get(&address("/cancel", &device.parameters())).await;
    assert_eq!(answer.status, 303);
    assert!(
        answer
            .location()
            .starts_with("https://sn1.example.org/#error=access_denied&")
    );
    assert_eq!(answer.fragment().first("state"), device.state);
}

#[tokio::test]
async fn a08_every_parameter_of_a_request_is_checked() {
    let stage = Stage::new().await;
    let (mut browser, device) = (stage.account("alice").await, Device::new());
    let off_curve = BASE64_STANDARD.encode(credential::PublicKey([7; 64]).to_spki());
    for (name, value) in [
        ("response_type", None),
        ("response_type", Some("token")),
        ("client_id", None),
        ("client_id", Some("other")),
        ("redirect_uri", None),
        ("redirect_uri", Some("https://evil.example")),
        ("redirect_uri", Some("https://sn1.example.org.evil.example")),
        ("redirect_uri", Some("https://sn1.example.org/elsewhere")),
        ("redirect_uri", Some("https://sn1.example.org@evil.example")),
        ("redirect_uri", Some("https://sn1.example.org:444")),
        ("redirect_uri", Some("http://sn1.example.org")),
        ("redirect_uri", Some("//sn1.example.org")),
        (
            "redirect_uri",
            Some("javascript:alert(1)//https://sn1.example.org"),
        ),
        ("state", None),
        ("state", Some("short")),
        ("state", Some("line\nbreak-and-more")),
        ("code_challenge", None),
        ("code_challenge", Some("short")),
        ("code_challenge_method", Some("plain")),
        ("public_key", None),
        ("public_key", Some("AAAA")),
        ("public_key", Some(&off_curve)),
        ("instance", None),
        ("instance", Some("not-a-uuid")),
        ("prompt", Some("none")),
    ] {
        let answer = browser.get(&device.authorize_but(name, value)).await;
        assert_eq!(
            (answer.status, answer.location()),
            (400, ""),
            "{name}={value:?}"
        );
        assert!(
            answer.text.contains(&format!("parameter {name} ")),
            "{name}={value:?}: {}",
            answer.text
        );
    }
    for (name, value) in device.parameters() {
        let twice = format!(
            "{}&{}",
            device.authorize(),
            &address("", &[(name, value)])[1..]
        );
        assert_eq!(browser.get(&twice).await.status, 400, "{name} twice");
    }
    let unknown = format!("{}&ui_locales=de", device.authorize());
    assert_eq!(
        browser.get(&unknown).await.status,
        200,
        "unknown parameters are ignored"
    );
}

#[tokio::test]
async fn a08_a_form_cannot_smuggle_in_another_redirect() {
    let stage = Stage::new().await;
    let (mut browser, device) = (stage.account("alice").await, Device::new());
    let form = browser.get(&device.authorize()).await;
    let token = form.hidden("token").unwrap();
    let evil = device.authorize_but("redirect_uri", Some("https://evil.example"));
    let (_, evil) = evil.split_once('?').unwrap();
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("token", token.as_str()), ("request", evil)])
        .finish();
    let answer = browser.submit_text("/authorize", &body).await;
    assert_eq!((answer.status, answer.location()), (400, ""));
}

#[tokio::test]
async fn a08_a_code_is_good_once_for_a_minute_and_for_its_own_verifier_and_page() {
    let stage = Stage::new().await;
    let (mut browser, device, other) = (stage.account("alice").await, Device::new(), Device::new());
    let grant = async |browser: &mut super::browser::Browser| {
        let form = browser.get(&device.authorize()).await;
        browser.submit("/authorize", &form, &[]).await.code()
    };
    let refused = (400, "invalid_grant".to_owned());

    let code = grant(&mut browser).await;
    assert_eq!(stage.redeem(&mut browser, &device, &code).await.status, 200);
    assert_eq!(
        stage.redeem(&mut browser, &device, &code).await.refusal(),
        refused,
        "replayed"
    );

    let code = grant(&mut browser).await;
    assert_eq!(
        stage.redeem(&mut browser, &other, &code).await.refusal(),
        refused,
        "wrong verifier"
    );
    assert_eq!(
        stage.redeem(&mut browser, &device, &code).await.refusal(),
        refused,
        "it had its one try"
    );

    let code = grant(&mut browser).await;
    stage.pass(Duration::from_secs(61));
    assert_eq!(
        stage.redeem(&mut browser, &device, &code).await.refusal(),
        refused,
        "too late"
    );

    for wrong in [
        ("redirect_uri", "https://sn2.example.org"),
        ("client_id", "other"),
    ] {
        let code = grant(&mut browser).await;
        let request =
            serde_json::json!({ "code": code, "code_verifier": device.verifier, wrong.0: wrong.1 });
        assert_eq!(
            browser.post("/token", Some(PAGE), &request).await.refusal(),
            refused,
            "{wrong:?}"
        );
    }

    assert_eq!(
        stage
            .redeem(&mut browser, &device, "made-up")
            .await
            .refusal(),
        refused
    );
    let request =
        serde_json::json!({ "code": "x", "code_verifier": "y", "grant_type": "password" });
    let refused = (400, "unsupported_grant_type".to_owned());
    assert_eq!(
        browser.post("/token", Some(PAGE), &request).await.refusal(),
        refused
    );
}

#[tokio::test]
async fn a08_a_code_is_bound_to_the_page_that_asked_for_it() {
    let other = "https://sn2.example.org";
    let stage = Stage::with(|config| config.origins.push(other.into())).await;
    let (mut browser, device) = (stage.account("alice").await, Device::new());
    let form = browser.get(&device.authorize()).await;
    let code = browser.submit("/authorize", &form, &[]).await.code();
    let request = serde_json::json!({ "code": code, "code_verifier": device.verifier });
    let answer = browser.post("/token", Some(other), &request).await;
    assert_eq!(answer.refusal(), (400, "invalid_grant".into()));
}

#[tokio::test]
async fn signing_in_again_on_a_device_gives_a_second_certificate_with_its_own_serial() {
    let stage = Stage::new().await;
    let (mut browser, device) = (stage.account("alice").await, Device::new());
    let first = stage.credential(&mut browser, &device).await;
    let second = stage.credential(&mut browser, &device).await;
    assert_ne!(
        certificate(&first.certificate).serial(),
        certificate(&second.certificate).serial()
    );
    let page = browser.get("/account").await;
    assert_eq!(
        page.text.matches("Chrome on Linux").count(),
        1,
        "one device, listed once"
    );
}
