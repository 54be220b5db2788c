//! Passwords: who is let in, and whom a password is told.

use core::time::Duration;

use machine::Instant;
use sip::Message;
use sip::digest::{Algorithm, Denied, Door, Guard, Login, Verdict};

const NOW: Instant = Instant::EPOCH;

fn alice() -> Login {
    Login {
        realm: "example.org".into(),
        user: "alice".into(),
        password: "secret".into(),
        md5: false,
    }
}

fn request(method: &str, headers: &str) -> Message {
    let text = format!(
        "{method} sip:example.org SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:alice@example.org>;tag=1\r\n\
         To: <sip:alice@example.org>\r\nCall-ID: c\r\nCSeq: 1 {method}\r\n{headers}Content-Length: 0\r\n\r\n"
    );
    Message::parse(text.into_bytes()).unwrap()
}

fn response(status: u16, headers: &str) -> Message {
    let text = format!(
        "SIP/2.0 {status} x\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:alice@example.org>;tag=1\r\n\
         To: <sip:alice@example.org>;tag=2\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\n{headers}Content-Length: 0\r\n\r\n"
    );
    Message::parse(text.into_bytes()).unwrap()
}

const REGISTER: [&str; 2] = ["REGISTER", "sip:example.org"];

/// A guard, and the credentials with which alice answers its challenge.
fn challenged(md5: bool) -> (Guard, String) {
    let mut guard = Guard::new("example.org", [7; 16], md5);
    let challenge = response(401, &guard.challenge(Door::Server, false, NOW));
    let line = alice().answer(&challenge, REGISTER, "c0", 1).unwrap();
    (guard, line)
}

fn secret(claim: &sip::digest::Claim) -> String {
    claim.algorithm.secret(&claim.user, "example.org", "secret")
}

#[test]
fn vectors_of_rfc_7616() {
    let mut login = Login {
        realm: "http-auth@example.org".into(),
        user: "Mufasa".into(),
        password: "Circle of Life".into(),
        md5: true,
    };
    let challenge = |algorithm: &str| {
        format!(
            "WWW-Authenticate: Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
             nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
             opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"\r\n"
        )
    };
    let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
    let get = ["GET", "/dir/index.html"];
    let both = response(401, &(challenge("SHA-256") + &challenge("MD5")));
    let line = login.answer(&both, get, cnonce, 1).unwrap();
    let sha = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1";
    assert!(line.contains(&format!("response=\"{sha}\"")), "{line}");
    assert!(line.contains("opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""));
    let md5 = response(401, &challenge("MD5"));
    let line = login.answer(&md5, get, cnonce, 1).unwrap();
    assert!(
        line.contains("response=\"8ca523f5e9506fed4657c9700eebdbec\""),
        "{line}"
    );
    login.md5 = false;
    assert_eq!(login.answer(&md5, get, cnonce, 1), None);
    // RFC 2617's example, without qop as RFC 2069 has it.
    let old = response(
        401,
        "WWW-Authenticate: Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"\r\n",
    );
    let old_login = Login {
        realm: "testrealm@host.com".into(),
        password: "CircleOfLife".into(),
        md5: true,
        ..login
    };
    let line = old_login.answer(&old, get, "", 1).unwrap();
    assert!(
        line.contains("response=\"1949323746fe6a43ef61f9606e7febea\""),
        "{line}"
    );
}

#[test]
fn r076_the_right_password_is_let_in_and_the_wrong_one_is_not() {
    let (mut guard, line) = challenged(false);
    let claim = guard
        .claim(&request("REGISTER", &line), Door::Server, NOW)
        .unwrap();
    assert_eq!(
        (&*claim.user, claim.algorithm),
        ("alice", Algorithm::Sha256)
    );
    let wrong = Algorithm::Sha256.secret("alice", "example.org", "Secret");
    assert_eq!(guard.check(&claim, Some(&wrong), NOW), Verdict::Wrong);
    assert_eq!(guard.check(&claim, None, NOW), Verdict::Wrong);
    assert_eq!(
        guard.check(&claim, Some(&secret(&claim)), NOW),
        Verdict::Granted
    );

    assert_eq!(
        guard
            .claim(&request("REGISTER", ""), Door::Server, NOW)
            .err(),
        Some(Denied::Missing)
    );
    let basic = request(
        "REGISTER",
        "Authorization: NoOneKnowsThisScheme opaque-data=here\r\n",
    );
    assert_eq!(
        guard.claim(&basic, Door::Server, NOW).err(),
        Some(Denied::Missing)
    );
    // What is for a registrar is not for a proxy.
    let other = guard.claim(&request("REGISTER", &line), Door::Proxy, NOW);
    assert_eq!(other.err(), Some(Denied::Missing));
}

#[test]
fn a43_a_login_answers_its_own_realm_only() {
    let mut foreign = Guard::new("evil.example", [1; 16], true);
    let challenge = response(401, &foreign.challenge(Door::Server, false, NOW));
    assert_eq!(alice().answer(&challenge, REGISTER, "c0", 1), None);
    let mut own = Guard::new("example.org", [1; 16], false);
    let lines =
        foreign.challenge(Door::Proxy, false, NOW) + &own.challenge(Door::Proxy, false, NOW);
    let line = alice()
        .answer(&response(407, &lines), REGISTER, "c0", 1)
        .unwrap();
    assert!(
        line.starts_with("Proxy-Authorization: Digest username=\"alice\", realm=\"example.org\"")
    );
    let integrity = own
        .challenge(Door::Server, false, NOW)
        .replace("\"auth\"", "\"auth-int\"");
    assert_eq!(
        alice().answer(&response(401, &integrity), REGISTER, "c", 1),
        None
    );
    let unknown = own
        .challenge(Door::Server, false, NOW)
        .replace("SHA-256", "SHA-256-sess");
    assert_eq!(
        alice().answer(&response(401, &unknown), REGISTER, "c", 1),
        None
    );
}

#[test]
fn a43_a_nonce_serves_for_its_realm_its_hour_and_each_count_once() {
    let (mut guard, line) = challenged(false);
    let register = request("REGISTER", &line);
    let claim = |guard: &Guard, now| guard.claim(&register, Door::Server, now);
    let first = claim(&guard, NOW).unwrap();
    let known = secret(&first);
    assert_eq!(guard.check(&first, Some(&known), NOW), Verdict::Granted);
    let again = claim(&guard, NOW).unwrap();
    assert_eq!(guard.check(&again, Some(&known), NOW), Verdict::Replayed);

    // A later count, by the same nonce, is good.
    let second = guard.challenge(Door::Server, false, NOW);
    let challenge = response(401, &second);
    for count in [1, 2, 4, 3] {
        let line = alice().answer(&challenge, REGISTER, "c0", count).unwrap();
        let next = guard
            .claim(&request("REGISTER", &line), Door::Server, NOW)
            .unwrap();
        assert_eq!(guard.check(&next, Some(&known), NOW), Verdict::Granted);
    }
    let late = NOW + Duration::from_secs(3600);
    assert_eq!(claim(&guard, late).err(), Some(Denied::Stale));
    assert_eq!(guard.check(&first, Some(&known), late), Verdict::Replayed);
    assert!(
        guard
            .challenge(Door::Server, true, late)
            .contains("stale=true")
    );

    let early = guard.challenge(Door::Server, false, late);
    let early = alice().answer(&response(401, &early), REGISTER, "c0", 1);
    let early = request("REGISTER", &early.unwrap());
    let early = guard.claim(&early, Door::Server, NOW);
    assert_eq!(early.err(), Some(Denied::Stale), "not given yet");
    let elsewhere = line.replace("realm=\"example.org\"", "realm=\"example.com\"");
    let elsewhere = guard.claim(&request("REGISTER", &elsewhere), Door::Server, NOW);
    assert_eq!(elsewhere.err(), Some(Denied::Missing), "somebody else's");

    let another_process = Guard::new("example.org", [8; 16], false);
    assert_eq!(claim(&another_process, NOW).err(), Some(Denied::Stale));
    let another_realm = Guard::new("example.net", [7; 16], false);
    let moved = request(
        "REGISTER",
        &line.replace("example.org\", n", "example.net\", n"),
    );
    let moved = another_realm.claim(&moved, Door::Server, NOW);
    assert_eq!(moved.err(), Some(Denied::Stale));
    for place in line.match_indices("nonce=\"").map(|(at, _)| at + 7).take(1) {
        for byte in place..place + 37 {
            let mut forged = line.clone().into_bytes();
            forged[byte] = if forged[byte] == b'A' { b'B' } else { b'A' };
            let forged = request("REGISTER", core::str::from_utf8(&forged).unwrap());
            let forged = guard.claim(&forged, Door::Server, NOW);
            assert_eq!(forged.err(), Some(Denied::Stale));
        }
    }
}

#[test]
fn a43_what_was_not_offered_is_refused_by_name() {
    let (guard, line) = challenged(false);
    for (from, to, word) in [
        ("qop=auth", "qop=auth-int", "qop"),
        (", qop=auth", "", "qop"),
        ("SHA-256", "MD5", "algorithm"),
        ("SHA-256", "SHA-512-256", "algorithm"),
        (", algorithm=SHA-256", "", "algorithm"),
        ("nc=00000001", "nc=1", "count"),
        ("nc=00000001", "nc=+0000001", "count"),
        ("nc=00000001", "nc=00000000", "count"),
        (", cnonce=\"c0\"", "", "cnonce"),
        ("uri=\"sip:example.org\"", "uri=\"sip:example.net\"", "URI"),
        ("username=\"alice\"", "username*=UTF-8''alice", "user"),
        ("nc=0", "nc=0, nc=0", "malformed"),
    ] {
        let spoilt = line.replacen(from, to, 1);
        assert_ne!(spoilt, line, "{from}");
        let denied = guard.claim(&request("REGISTER", &spoilt), Door::Server, NOW);
        let Err(Denied::Refused(sentence)) = denied else {
            panic!("{to}: {denied:?}")
        };
        assert!(sentence.contains(word), "{sentence}");
    }
    // MD5 is good where the operator chose so.
    let (mut guard, _) = challenged(true);
    let lines = guard.challenge(Door::Server, false, NOW);
    assert!(lines.find("SHA-256").unwrap() < lines.find("MD5").unwrap());
    let only = lines.lines().last().unwrap().to_owned() + "\r\n";
    let old = Login {
        md5: true,
        ..alice()
    };
    let line = old
        .answer(&response(401, &only), REGISTER, "c0", 1)
        .unwrap();
    let claim = guard
        .claim(&request("REGISTER", &line), Door::Server, NOW)
        .unwrap();
    assert_eq!(
        guard.check(&claim, Some(&secret(&claim)), NOW),
        Verdict::Granted
    );
}

#[test]
fn a39_credentials_cut_at_every_byte_let_nobody_in() {
    let (mut guard, line) = challenged(false);
    let value = line.trim_end();
    for end in "Authorization: ".len()..value.len() {
        let cut = value[..end].to_owned() + "\r\n";
        match guard.claim(&request("REGISTER", &cut), Door::Server, NOW) {
            Ok(claim) => {
                let known = secret(&claim);
                assert_eq!(guard.check(&claim, Some(&known), NOW), Verdict::Wrong);
            }
            Err(denied) => assert!(!denied.to_string().is_empty()),
        }
    }
}
