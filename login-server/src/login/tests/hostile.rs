//! Forms of foreign sites, foreign origins, oversized and broken requests, floods.

use std::time::Duration;

use hyper::{Method, header};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::device::Device;
use super::stage::{PAGE, PASSWORD, Stage};
use crate::Limits;

#[tokio::test]
async fn a08_a_form_without_its_token_or_cookie_does_nothing() {
    let stage = Stage::new().await;
    let mut alice = stage.account("alice").await;
    let page = alice.get("/account").await;
    let token = page.hidden("token").unwrap();
    let mallory = stage
        .account("mallory")
        .await
        .get("/account")
        .await
        .hidden("token")
        .unwrap();
    for form in ["", "token=", "token=00", &format!("token={mallory}")] {
        for path in [
            "/sign-out",
            "/account/sign-out-everywhere",
            "/account/password",
            "/account/devices/revoke",
            "/sign-in",
            "/create-account",
            "/authorize",
        ] {
            assert_eq!(
                alice.submit_text(path, form).await.status,
                403,
                "{path} {form}"
            );
        }
    }
    assert_eq!(alice.get("/account").await.status, 200, "still signed in");
    let mut bare = stage.browser();
    assert_eq!(
        bare.submit_text("/sign-out", &format!("token={token}"))
            .await
            .status,
        403,
        "no cookie"
    );
}

#[tokio::test]
async fn a50_a_form_that_another_sites_page_sent_does_nothing() {
    let stage = Stage::new().await;
    let mut alice = stage.account("alice").await;
    let token = alice.get("/account").await.hidden("token").unwrap();
    for origin in ["https://evil.example", "null"] {
        let headers = [
            (header::CONTENT_TYPE, "application/x-www-form-urlencoded"),
            (header::ORIGIN, origin),
        ];
        let answer = alice
            .send(
                Method::POST,
                "/sign-out",
                &headers,
                &format!("token={token}"),
            )
            .await;
        assert_eq!(answer.status, 403, "{origin}");
    }
}

#[tokio::test]
async fn a50_scripts_of_foreign_pages_are_refused_everywhere() {
    let stage = Stage::new().await;
    let mut browser = stage.browser();
    for path in ["/token", "/guest", "/renew", "/enrol", "/enrol/renew"] {
        for origin in [
            "https://evil.example",
            "null",
            "https://sn1.example.org.evil.example",
            "",
        ] {
            let answer = browser.post(path, Some(origin), &()).await;
            assert_eq!(
                answer.refusal(),
                (403, "foreign_origin".into()),
                "{path} {origin}"
            );
            assert_eq!(answer.header("access-control-allow-origin"), "");
        }
    }
    let headers = [
        (header::ORIGIN, "https://evil.example"),
        (header::ACCESS_CONTROL_REQUEST_METHOD, "POST"),
    ];
    assert_eq!(
        browser
            .send(Method::OPTIONS, "/token", &headers, "")
            .await
            .status,
        403
    );
    let headers = [
        (header::ORIGIN, PAGE),
        (header::ACCESS_CONTROL_REQUEST_METHOD, "POST"),
    ];
    let answer = browser.send(Method::OPTIONS, "/token", &headers, "").await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (204, PAGE)
    );
    assert_eq!(
        answer.header("access-control-allow-credentials"),
        "",
        "cookies count for nothing here"
    );
}

#[tokio::test]
async fn a50_a_session_cookie_gives_no_credential() {
    let stage = Stage::new().await;
    let (mut alice, device) = (stage.account("alice").await, Device::new());
    let request =
        serde_json::json!({ "public_key": device.public_key(), "instance": device.instance });
    let answer = alice.post("/guest", Some(PAGE), &request).await;
    assert!(
        answer.document::<crate::wire::Credential>().guest,
        "a guest, though signed in with a cookie"
    );
}

#[tokio::test]
async fn a51_oversized_bodies_are_refused_announced_or_not() {
    let stage = Stage::new().await;
    let mut browser = stage.browser();
    let large = "x".repeat(17 * 1_024);
    for path in ["/token", "/guest", "/renew", "/enrol", "/sign-in"] {
        assert_eq!(
            browser.submit_text(path, &large).await.status,
            413,
            "{path}"
        );
    }
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    let head = format!(
        "POST /guest HTTP/1.1\r\nhost: {}\r\ntransfer-encoding: chunked\r\n\r\n",
        stage.address
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("400\r\n{}\r\n", "x".repeat(1_024));
    for _ in 0..20 {
        // the server may have hung up already
        let _ = stream.write_all(chunk.as_bytes()).await;
    }
    let mut answer = vec![0; 64];
    let length = stream.read(&mut answer).await.unwrap();
    assert!(
        answer[..length].starts_with(b"HTTP/1.1 413 "),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    let address = format!("/authorize?{large}");
    assert!(matches!(browser.get(&address).await.status, 413 | 414));
}

#[tokio::test]
async fn a51_a_body_that_never_ends_is_not_waited_for() {
    let stage = Stage::new().await;
    tokio::time::pause();
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    let head = format!(
        "POST /guest HTTP/1.1\r\nhost: {}\r\ncontent-length: 100\r\n\r\nx",
        stage.address
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 64];
    let length = stream.read(&mut answer).await.unwrap();
    assert!(
        answer[..length].starts_with(b"HTTP/1.1 408 "),
        "{}",
        String::from_utf8_lossy(&answer)
    );
}

#[tokio::test]
async fn a08_broken_documents_are_refused_without_being_quoted() {
    let stage = Stage::new().await;
    let mut browser = stage.browser();
    for body in [
        "",
        "{",
        "[]",
        "{\"code\":1}",
        "{\"code\":\"s3cret\",\"code_verifier\":\"v\",\"extra\":1}",
        "\u{0}",
    ] {
        for path in ["/token", "/guest", "/renew", "/enrol", "/enrol/renew"] {
            let headers = [(header::CONTENT_TYPE, "application/json")];
            let answer = browser.send(Method::POST, path, &headers, body).await;
            assert_eq!(
                answer.refusal(),
                (400, "invalid_request".into()),
                "{path} {body}"
            );
            assert!(!answer.text.contains("s3cret"));
        }
    }
    let headers = [(header::CONTENT_TYPE, "text/plain")];
    let answer = browser.send(Method::POST, "/token", &headers, "{}").await;
    assert_eq!(answer.status, 415, "what needs no preflight is not taken");
}

#[tokio::test]
async fn a08_passwords_are_tried_slowly_by_address_and_by_account() {
    let limits = Limits {
        sign_in: 6,
        account: 3,
        ..Limits::development()
    };
    let stage = Stage::with(|config| config.limits = limits).await;
    stage.account("alice").await;
    let mut browser = stage.browser();
    let form = browser.get("/sign-in").await;
    let wrong = [("name", "alice"), ("password", "wrong wrong wrong")];
    for _ in 0..3 {
        assert_eq!(browser.submit("/sign-in", &form, &wrong).await.status, 422);
    }
    let hashed = stage.server.passwords.hashed();
    let right = [("name", "alice"), ("password", PASSWORD)];
    let answer = browser.submit("/sign-in", &form, &right).await;
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (429, "20"),
        "the account's limit"
    );
    assert!(
        answer
            .text
            .contains("That was too often. Try again in 20 seconds.")
    );
    assert_eq!(
        stage.server.passwords.hashed(),
        hashed,
        "nothing was hashed for it"
    );

    for name in ["bob", "carol"] {
        assert_eq!(
            browser
                .submit("/sign-in", &form, &[("name", name), wrong[1]])
                .await
                .status,
            422
        );
    }
    let answer = browser
        .submit("/sign-in", &form, &[("name", "dave"), wrong[1]])
        .await;
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (429, "10"),
        "the address's limit"
    );

    stage.pass(Duration::from_secs(20));
    assert_eq!(
        browser.submit("/sign-in", &form, &right).await.location(),
        "/account"
    );
}

#[tokio::test]
async fn a08_strangers_who_try_passwords_do_not_keep_the_owner_out() {
    let limits = Limits {
        account: 3,
        ..Limits::development()
    };
    let stage = Stage::with(|config| config.limits = limits).await;
    let mut owner = stage.account("alice").await;
    let page = owner.get("/account").await;
    owner.submit("/sign-out", &page, &[]).await;

    let mut stranger = stage.account("mallory").await;
    let (form, right) = (
        owner.get("/sign-in").await,
        [("name", "alice"), ("password", PASSWORD)],
    );
    let strange = stranger.get("/create-account").await;
    let wrong = [("name", "alice"), ("password", "wrong wrong wrong")];
    for _ in 0..3 {
        stranger.submit("/sign-in", &strange, &wrong).await;
    }
    let answer = stranger.submit("/sign-in", &strange, &right).await;
    assert_eq!(
        answer.status, 429,
        "another account's browser is a stranger's"
    );
    let mut newcomer = stage.browser();
    newcomer.cookies = stranger.cookies.clone();
    for (name, value) in &mut newcomer.cookies {
        if name.ends_with("-known") {
            *value = crate::store::secret();
        }
    }
    let answer = newcomer.submit("/sign-in", &strange, &right).await;
    assert_eq!(
        answer.status, 429,
        "and so is one with a cookie of its own make"
    );
    assert_eq!(
        owner.submit("/sign-in", &form, &right).await.location(),
        "/account"
    );

    for _ in 0..3 {
        let form = owner.get("/create-account").await;
        owner.submit("/sign-in", &form, &wrong).await;
    }
    let form = owner.get("/create-account").await;
    assert_eq!(
        owner.submit("/sign-in", &form, &right).await.status,
        429,
        "its own tries count, too"
    );
}

#[tokio::test]
async fn a08_accounts_guests_and_requests_are_limited_by_address() {
    let limits = Limits {
        create: 1,
        guest: 1,
        credential: 1,
        ..Limits::development()
    };
    let stage = Stage::with(|config| config.limits = limits).await;
    let (mut browser, device) = (stage.account("alice").await, Device::new());
    let mut other = stage.browser();
    let form = other.get("/create-account").await;
    let fields = [
        ("name", "bob"),
        ("password", PASSWORD),
        ("repeat", PASSWORD),
    ];
    let answer = other.submit("/create-account", &form, &fields).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, "60"));

    let request =
        serde_json::json!({ "public_key": device.public_key(), "instance": device.instance });
    assert_eq!(
        browser.post("/guest", Some(PAGE), &request).await.status,
        200
    );
    let answer = browser.post("/guest", Some(PAGE), &request).await;
    assert_eq!(answer.refusal(), (429, "too_many_requests".into()));
    assert_eq!(answer.header("retry-after"), "60");
    assert_eq!(stage.redeem(&mut browser, &device, "x").await.status, 400);
    assert_eq!(stage.redeem(&mut browser, &device, "x").await.status, 429);
    assert_eq!(browser.post("/enrol", None, &request).await.status, 429);

    let stage = Stage::with(|config| config.limits.page = 3).await;
    let mut browser = stage.browser();
    for _ in 0..3 {
        assert_eq!(browser.get("/sign-in").await.status, 200);
    }
    assert_eq!(browser.get("/sign-in").await.status, 429);
}

#[tokio::test]
async fn requests_for_another_host_are_not_answered() {
    let stage = Stage::new().await;
    let mut browser = stage.browser();
    browser.headers = vec![("host", "evil.example".into())];
    assert_eq!(
        browser.get("/sign-in").await.status,
        421,
        "a name rebound to this address"
    );
    browser.headers = vec![("host", stage.address.to_string().to_uppercase())];
    assert_eq!(browser.get("/sign-in").await.status, 200);
}

#[tokio::test]
async fn wrong_methods_and_addresses_have_their_answers() {
    let stage = Stage::new().await;
    let mut browser = stage.browser();
    for (method, path, status, allow) in [
        (Method::GET, "/token", 405, "POST, OPTIONS"),
        (Method::GET, "/enrol", 405, "POST"),
        (Method::POST, "/root", 405, "GET"),
        (Method::DELETE, "/account", 405, "GET"),
        (Method::PUT, "/sign-in", 405, "GET, POST"),
        (Method::GET, "/sign-out", 405, "POST"),
        (Method::GET, "/nowhere", 404, ""),
        (Method::HEAD, "/sign-in", 200, ""),
    ] {
        let answer = browser.send(method.clone(), path, &[], "").await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (status, allow),
            "{method} {path}"
        );
    }
}
