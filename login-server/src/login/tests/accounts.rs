//! Accounts: names, passwords, sessions, devices.

use super::device::{Device, certificate};
use super::stage::{PASSWORD, Stage};
use credential::RevocationList;

const WRONG: &str = "The name or the password is wrong.";

#[tokio::test]
async fn names_that_are_taken_or_not_allowed_are_refused_with_a_sentence() {
    let stage = Stage::new().await;
    stage.account("alice").await;
    let mut browser = stage.browser();
    for (name, status, sentence) in [
        ("alice", 409, "Somebody has this name already."),
        ("ALICE@example.org", 409, "Somebody has this name already."),
        ("", 422, "Choose a name."),
        ("a", 422, "A name has 2 to 32 characters."),
        ("zoë", 422, "letters from a to z"),
        ("9lives", 422, "begins with a letter"),
        ("admin", 422, "kept for the people who run the network"),
        ("guest-x", 422, "kept for the people who run the network"),
    ] {
        let form = browser.get("/create-account").await;
        let fields = [("name", name), ("password", PASSWORD), ("repeat", PASSWORD)];
        let answer = browser.submit("/create-account", &form, &fields).await;
        assert_eq!(answer.status, status, "{name}");
        assert!(answer.text.contains(sentence), "{name}: {}", answer.text);
        assert!(
            answer.text.contains("<a href=\"#name\">"),
            "the summary leads to the field"
        );
        assert!(answer.text.contains("aria-invalid=\"true\""));
    }
}

#[tokio::test]
async fn an_operator_may_make_the_accounts() {
    let stage = Stage::with(|config| config.open_registration = false).await;
    let (mut browser, device) = (stage.browser(), Device::new());
    let sign_in = browser.get("/sign-in").await;
    assert!(!sign_in.text.contains("Create an account"));
    for address in [
        "/create-account",
        &device.authorize_but("prompt", Some("create")),
    ] {
        let answer = browser.get(address).await;
        assert_eq!(answer.status, 403);
        assert!(
            answer
                .text
                .contains("The operator of this network makes its accounts.")
        );
    }
    let fields = [
        ("name", "bob"),
        ("password", PASSWORD),
        ("repeat", PASSWORD),
    ];
    assert_eq!(
        browser
            .submit("/create-account", &sign_in, &fields)
            .await
            .status,
        403
    );

    stage.server.create_user("Bob", PASSWORD).await.unwrap();
    let answer = browser.submit("/sign-in", &sign_in, &fields[..2]).await;
    assert_eq!(answer.location(), "/account");
    for (name, password, sentence) in [
        ("bob", PASSWORD, "Somebody has this name already."),
        (
            "root",
            PASSWORD,
            "This name is kept for the people who run the network. Choose another one.",
        ),
        ("carol", "short", "A password has at least 10 characters."),
    ] {
        let error = stage.server.create_user(name, password).await.unwrap_err();
        assert_eq!(error.to_string(), sentence);
    }
}

#[tokio::test]
async fn weak_and_mistyped_passwords_are_refused_with_a_sentence() {
    let stage = Stage::new().await;
    let mut browser = stage.browser();
    for (password, repeat, field, sentence) in [
        (
            "short",
            "short",
            "password",
            "A password has at least 10 characters.",
        ),
        (
            "password123",
            "password123",
            "password",
            "one of the passwords that are tried first",
        ),
        (
            "Alice123456",
            "Alice123456",
            "password",
            "too much like the name",
        ),
        (
            PASSWORD,
            "correct horse batterz",
            "repeat",
            "The two passwords differ.",
        ),
    ] {
        let form = browser.get("/create-account").await;
        let fields = [
            ("name", "alice"),
            ("password", password),
            ("repeat", repeat),
        ];
        let answer = browser.submit("/create-account", &form, &fields).await;
        assert_eq!(answer.status, 422, "{password}");
        assert!(
            answer.text.contains(sentence),
            "{password}: {}",
            answer.text
        );
        assert!(answer.text.contains(&format!("<a href=\"#{field}\">")));
        assert!(
            !answer.text.contains(password),
            "a password never comes back in a page"
        );
        assert!(
            answer.text.contains("value=\"alice\""),
            "the name needn't be typed again"
        );
    }
}

#[tokio::test]
async fn a08_an_unknown_name_and_a_wrong_password_look_and_cost_the_same() {
    let stage = Stage::new().await;
    stage.account("alice").await;
    let mut browser = stage.browser();
    let mut pages = Vec::new();
    for name in ["alice", "nobody", "not a name!"] {
        let form = browser.get("/sign-in").await;
        let before = stage.server.passwords.hashed();
        let fields = [("name", name), ("password", "wrong wrong wrong")];
        let answer = browser.submit("/sign-in", &form, &fields).await;
        assert_eq!(
            stage.server.passwords.hashed() - before,
            1,
            "one hash for {name}"
        );
        assert_eq!(answer.status, 422);
        assert!(answer.text.contains(WRONG));
        pages.push(answer.text.replace(name, "NAME"));
    }
    assert!(
        pages.windows(2).all(|pair| pair[0] == pair[1]),
        "the pages differ in the name alone"
    );
}

#[tokio::test]
async fn nobody_signs_in_as_a_guest_with_a_password() {
    let stage = Stage::new().await;
    let (mut browser, device) = (stage.browser(), Device::new());
    let request =
        serde_json::json!({ "public_key": device.public_key(), "instance": device.instance });
    let answer = browser.post("/guest", None, &request).await;
    let name = answer.document::<crate::wire::Credential>().name;
    let form = browser.get("/sign-in").await;
    let answer = browser
        .submit(
            "/sign-in",
            &form,
            &[("name", &name), ("password", PASSWORD)],
        )
        .await;
    assert!(answer.text.contains(WRONG));
}

#[tokio::test]
async fn signing_in_replaces_the_session_and_signing_out_ends_it() {
    let stage = Stage::new().await;
    stage.account("alice").await;
    let mut browser = stage.browser();
    let form = browser.get("/sign-in").await;
    let before = browser.cookies.clone();
    let answer = browser
        .submit(
            "/sign-in",
            &form,
            &[("name", "alice"), ("password", PASSWORD)],
        )
        .await;
    assert_eq!(answer.location(), "/account");
    assert_ne!(
        browser.cookies, before,
        "a session that was known before signing in is worth nothing after"
    );
    let mut fixed = stage.browser();
    fixed.cookies = before;
    assert_eq!(fixed.get("/account").await.location(), "/sign-in");

    let page = browser.get("/account").await;
    assert!(
        page.text
            .contains("alice<span class=\"domain\">@example.org</span>")
    );
    let answer = browser.submit("/sign-out", &page, &[]).await;
    assert_eq!(answer.location(), "/sign-in?done=signed-out");
    assert_eq!(browser.get("/account").await.location(), "/sign-in");
}

#[tokio::test]
async fn an_idle_session_ends() {
    let stage = Stage::new().await;
    let mut browser = stage.account("alice").await;
    stage.pass(std::time::Duration::from_secs(11 * 3_600));
    assert_eq!(browser.get("/account").await.status, 200);
    stage.pass(std::time::Duration::from_secs(11 * 3_600));
    assert_eq!(browser.get("/account").await.status, 200, "use keeps it");
    stage.pass(std::time::Duration::from_secs(13 * 3_600));
    assert_eq!(browser.get("/account").await.location(), "/sign-in");
}

#[tokio::test]
async fn a_changed_password_ends_other_sessions_and_the_old_one_is_wrong() {
    let stage = Stage::new().await;
    let mut browser = stage.account("alice").await;
    let mut elsewhere = stage.browser();
    let form = elsewhere.get("/sign-in").await;
    elsewhere
        .submit(
            "/sign-in",
            &form,
            &[("name", "alice"), ("password", PASSWORD)],
        )
        .await;
    assert_eq!(elsewhere.get("/account").await.status, 200);

    let new = "another good password";
    let page = browser.get("/account").await;
    let wrong = [
        ("current", "not it, not at all"),
        ("password", new),
        ("repeat", new),
    ];
    let answer = browser.submit("/account/password", &page, &wrong).await;
    assert_eq!(answer.status, 422);
    assert!(answer.text.contains("This is not your current password."));

    let right = [("current", PASSWORD), ("password", new), ("repeat", new)];
    let answer = browser.submit("/account/password", &page, &right).await;
    assert_eq!(answer.location(), "/account?done=password");
    assert!(
        browser
            .get("/account?done=password")
            .await
            .text
            .contains("Your password has been changed.")
    );
    assert_eq!(
        elsewhere.get("/account").await.location(),
        "/sign-in",
        "the other session is over"
    );

    let form = elsewhere.get("/sign-in").await;
    let answer = elsewhere
        .submit(
            "/sign-in",
            &form,
            &[("name", "alice"), ("password", PASSWORD)],
        )
        .await;
    assert_eq!(answer.status, 422);
    let answer = elsewhere
        .submit("/sign-in", &form, &[("name", "alice"), ("password", new)])
        .await;
    assert_eq!(answer.location(), "/account");
}

#[tokio::test]
async fn a_revoked_device_is_on_the_signed_list_and_off_the_page() {
    let stage = Stage::new().await;
    let mut browser = stage.account("alice").await;
    let (phone, laptop) = (Device::new(), Device::new());
    let lost = stage.credential(&mut browser, &phone).await;
    let kept = stage.credential(&mut browser, &laptop).await;
    let before = RevocationList::read(&browser.get("/revocations").await.bytes).unwrap();
    assert!(before.serials().is_empty());

    let page = browser.get("/account").await;
    let id = stage
        .server
        .store
        .device("alice", &format!("urn:uuid:{}", phone.instance))
        .await
        .unwrap()
        .unwrap()
        .id;
    assert!(page.text.contains(&id));
    let answer = browser
        .submit("/account/devices/revoke", &page, &[("device", &id)])
        .await;
    assert_eq!(answer.location(), "/account?done=device");
    assert!(!browser.get("/account").await.text.contains(&id));

    let list = RevocationList::read(&browser.get("/revocations").await.bytes).unwrap();
    assert!(list.number() > before.number());
    assert_eq!(list.serials(), [certificate(&lost.certificate).serial()]);
    assert!(!list.contains(certificate(&kept.certificate).serial()));
    let check = stage
        .server
        .authority
        .anchor()
        .admit_revocations(&list)
        .unwrap();
    assert!(crate::proof::holds(&check), "the authority signed it");
}

#[tokio::test]
async fn nobody_revokes_anothers_device() {
    let stage = Stage::new().await;
    let (mut alice, mut mallory) = (stage.account("alice").await, stage.account("mallory").await);
    let device = Device::new();
    stage.credential(&mut alice, &device).await;
    let id = stage
        .server
        .store
        .device("alice", &format!("urn:uuid:{}", device.instance))
        .await
        .unwrap()
        .unwrap()
        .id;
    let page = mallory.get("/account").await;
    mallory
        .submit("/account/devices/revoke", &page, &[("device", &id)])
        .await;
    assert!(alice.get("/account").await.text.contains(&id));
}

#[tokio::test]
async fn signing_out_everywhere_ends_sessions_and_devices() {
    let stage = Stage::new().await;
    let mut browser = stage.account("alice").await;
    let device = Device::new();
    let credential = stage.credential(&mut browser, &device).await;
    let page = browser.get("/account").await;
    let answer = browser
        .submit("/account/sign-out-everywhere", &page, &[])
        .await;
    assert_eq!(answer.location(), "/sign-in?done=everywhere");
    assert_eq!(browser.get("/account").await.location(), "/sign-in");
    let list = RevocationList::read(&browser.get("/revocations").await.bytes).unwrap();
    assert!(list.contains(certificate(&credential.certificate).serial()));
}
