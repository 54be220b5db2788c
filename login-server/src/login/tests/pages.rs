//! The pages themselves: headers, escaping, what reaches whom.

use super::device::{Device, address};
use super::stage::{PASSWORD, Stage};

#[tokio::test]
async fn a53_pages_forbid_scripts_frames_and_foreign_forms() {
    let stage = Stage::new().await;
    let (mut alice, device) = (stage.account("alice").await, Device::new());
    for path in [
        "/sign-in?again=1",
        "/create-account",
        "/account",
        "/nowhere",
        &device.authorize(),
    ] {
        let answer = alice.get(path).await;
        if answer.status == 303 {
            continue;
        }
        let policy = answer.header("content-security-policy");
        for part in [
            "default-src 'none'",
            "style-src 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(
            !policy.contains("script-src") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "same-origin");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(
            !answer.text.contains("<script") && !answer.text.contains(" style="),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a53_markup_in_whatever_is_shown_stays_text() {
    let stage = Stage::new().await;
    let (mut browser, device) = (stage.browser(), Device::new());
    let evil = "\"><script>alert(1)</script>";
    let page = browser
        .get(&device.authorize_but("login_hint", Some(evil)))
        .await;
    assert_eq!(page.status, 200);
    assert!(
        page.text.contains("&lt;script&gt;") && !page.text.contains("<script"),
        "{}",
        page.text
    );
    let answer = browser
        .submit("/sign-in", &page, &[("name", evil), ("password", PASSWORD)])
        .await;
    assert!(!answer.text.contains("<script"));
    let page = browser.get("/create-account").await;
    let answer = browser
        .submit(
            "/create-account",
            &page,
            &[("name", evil), ("password", PASSWORD)],
        )
        .await;
    assert!(!answer.text.contains("<script"));
}

#[tokio::test]
async fn a52_no_secret_is_in_an_address_or_page() {
    let stage = Stage::new().await;
    let (mut alice, device) = (stage.account("alice").await, Device::new());
    let form = alice.get(&device.authorize()).await;
    let cookie = alice.cookies.values().next().unwrap().clone();
    assert!(
        !form.text.contains(&cookie),
        "the session's cookie stays in its header"
    );
    let answer = alice.submit("/authorize", &form, &[]).await;
    let (address, _) = answer.location().split_once('#').unwrap();
    assert_eq!(
        address, "https://sn1.example.org/",
        "the code is in the fragment, which no server sees"
    );
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
}

#[tokio::test]
async fn a50_the_cookie_is_strict_and_kept_from_scripts() {
    let stage = Stage::new().await;
    let answer = stage.browser().get("/sign-in").await;
    let cookie = answer.header("set-cookie");
    for part in ["; Path=/", "; HttpOnly", "; SameSite=Strict"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let secure = Stage::with(|config| config.origin = "https://login.example.org".into()).await;
    let mut browser = secure.browser();
    browser.headers = vec![("host", "login.example.org".into())];
    let answer = browser.get("/sign-in").await;
    let cookie = answer.header("set-cookie");
    assert!(
        cookie.starts_with("__Host-partyline=") && cookie.ends_with("; Secure"),
        "{cookie}"
    );
    assert_eq!(
        answer.header("strict-transport-security"),
        "max-age=31536000"
    );
}

#[tokio::test]
async fn who_comes_from_another_site_is_recognised_one_step_later() {
    let stage = Stage::new().await;
    let (mut alice, device) = (stage.account("alice").await, Device::new());
    // a browser keeps the strict cookie back on a link from another site, and says where the link was
    let mut landing = stage.browser();
    landing
        .headers
        .push(("sec-fetch-site", "cross-site".into()));
    let answer = landing.get(&device.authorize()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("set-cookie"),
        "",
        "the cookie that it kept back is not overwritten"
    );
    let (_, rest) = answer.text.split_once("content=\"0;url=").unwrap();
    let onward = rest.split_once('"').unwrap().0.replace("&amp;", "&");
    assert!(onward.starts_with("/authorize?") && onward.ends_with("&again=1"));
    let answer = alice.get(&onward).await;
    assert!(answer.text.contains("Continue as alice"));
    let circle = landing.get(&onward).await;
    assert_eq!((circle.status, circle.header("set-cookie")), (200, ""));
    assert!(!circle.text.contains("http-equiv"), "never in a circle");
    let form = landing.submit_text("/sign-out", "token=x").await;
    assert_eq!((form.status, form.header("set-cookie")), (403, ""));
}

#[tokio::test]
async fn the_stylesheet_is_kept_under_an_address_that_names_its_contents() {
    let stage = Stage::new().await;
    let mut browser = stage.browser();
    let page = browser.get("/sign-in").await;
    let (_, rest) = page
        .text
        .split_once("<link rel=\"stylesheet\" href=\"")
        .unwrap();
    let answer = browser.get(rest.split_once('"').unwrap().0).await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "text/css; charset=utf-8")
    );
    assert!(answer.header("cache-control").contains("immutable"));
    assert!(!answer.text.contains("url("), "it fetches nothing");
}

#[tokio::test]
async fn links_between_the_pages_carry_the_request_along() {
    let stage = Stage::new().await;
    let (mut browser, device) = (stage.browser(), Device::new());
    let page = browser
        .get(&address("/create-account", &device.parameters()))
        .await;
    assert!(
        page.text
            .contains("href=\"/sign-in?response_type=code&amp;")
    );
    let page = browser
        .get(&address("/sign-in", &device.parameters()))
        .await;
    assert!(
        page.text
            .contains("href=\"/create-account?response_type=code&amp;")
    );
    assert!(page.text.contains("href=\"/cancel?response_type=code&amp;"));
}
