//! The arrows between the crates, as `docs/design.md` draws them.
//!
//! An arrow that is not in the table fails the test and prints why it must not be.

use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;

/// Each crate, the crates of this workspace that it may depend on, and why no others.
const ALLOWED: &[(&str, &[&str], &str)] = &[
    (
        "machine",
        &[],
        "the contract of all state machines knows no protocol",
    ),
    (
        "credential",
        &[],
        "certificates and signatures are the ground that all protocols stand on; they know none",
    ),
    (
        "overlay",
        &["machine", "credential"],
        "the overlay carries opaque records and must serve other applications than SIP (R4, R5, R6)",
    ),
    (
        "sip",
        &["machine", "credential"],
        "the SIP layer asks where somebody is and must not know who answers, so that any location service will do (R4)",
    ),
    (
        "turn",
        &["machine"],
        "STUN and TURN serve whoever asks: neither the overlay nor SIP concerns them",
    ),
    (
        "p2psip",
        &["machine", "credential", "overlay", "sip"],
        "the one crate that knows both layers knows no socket, no browser and no operating system",
    ),
    (
        "sim",
        &["machine"],
        "the virtual network moves any machine's bytes, whatever they mean",
    ),
    (
        "bench",
        &["machine", "credential", "overlay", "sip", "turn", "sim"],
        "measurements drive the cores alone; what needs sockets is measured on the built programs",
    ),
    (
        "login-server",
        &["credential"],
        "the login server certifies and is not needed afterwards: it is no part of the overlay (R92, R105)",
    ),
    (
        "relay-node",
        &[
            "machine",
            "credential",
            "overlay",
            "sip",
            "turn",
            "p2psip",
            "login-server",
        ],
        "the native driver makes no protocol decisions and knows nothing of browsers or tests",
    ),
    (
        "wasm-peer",
        &["machine", "p2psip"],
        "the browser's driver makes no protocol decisions: overlay and SIP reach it through p2psip only",
    ),
    (
        "fuzz",
        &["machine", "credential", "overlay", "sip", "turn", "p2psip"],
        "parsers are tried without any driver around them",
    ),
    (
        "tests",
        &[
            "machine",
            "credential",
            "overlay",
            "sip",
            "turn",
            "p2psip",
            "sim",
            "login-server",
            "relay-node",
        ],
        "nothing may depend on the end to end tests",
    ),
    (
        "xtask",
        &[],
        "a newcomer's first command must not wait for the project to compile",
    ),
];

/// Arrows that only unit tests have, beyond those above.
const ALLOWED_IN_TESTS: &[(&str, &[&str])] = &[
    ("overlay", &["sim"]),
    ("sip", &["sim"]),
    ("turn", &["sim"]),
    ("p2psip", &["sim"]),
];

/// What the crates that must run anywhere may use from outside.
const OUTSIDE: &[(&str, &[&str])] = &[
    ("machine", &["rand_chacha", "rand_core"]),
    ("credential", &["serde"]),
    ("overlay", &["postcard", "serde", "sha1"]),
    ("sip", &["hashbrown", "md-5", "sha2"]),
    ("turn", &["hashbrown", "hmac", "md-5", "sha1", "sha2"]),
    ("p2psip", &["quick-xml"]),
    ("sim", &["rand_chacha", "rand_core"]),
];

struct Arrow {
    from: String,
    to: String,
    test_only: bool,
}

fn arrows() -> (Vec<String>, Vec<Arrow>) {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let mut crates = Vec::new();
    let mut arrows = Vec::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let from = package["name"].as_str().expect("a name").to_owned();
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            arrows.push(Arrow {
                from: from.clone(),
                to: dependency["name"].as_str().expect("a name").to_owned(),
                test_only: dependency["kind"] == "dev",
            });
        }
        crates.push(from);
    }
    (crates, arrows)
}

/// The arrows that the tables forbid, each with its reason.
fn forbidden(crates: &[String], arrows: &[Arrow]) -> Vec<String> {
    let inside: BTreeMap<_, _> = ALLOWED
        .iter()
        .map(|(name, to, why)| (*name, (*to, *why)))
        .collect();
    let in_tests: BTreeMap<_, _> = ALLOWED_IN_TESTS.iter().copied().collect();
    let outside: BTreeMap<_, _> = OUTSIDE.iter().copied().collect();
    let mut found = Vec::new();
    for Arrow {
        from,
        to,
        test_only,
    } in arrows
    {
        let Some((allowed, why)) = inside.get(from.as_str()) else {
            found.push(format!("{from} is not in the table"));
            continue;
        };
        if crates.contains(to) {
            let for_tests = *test_only
                && in_tests
                    .get(from.as_str())
                    .is_some_and(|list| list.contains(&to.as_str()));
            if !allowed.contains(&to.as_str()) && !for_tests {
                found.push(format!("{from} -> {to}: {why}"));
            }
        } else if !test_only
            && outside
                .get(from.as_str())
                .is_some_and(|list| !list.contains(&to.as_str()))
        {
            found.push(format!(
                "{from} -> {to}: {from} runs anywhere, so each crate from outside is in the list"
            ));
        }
    }
    found
}

#[test]
fn r004_r037_crates_depend_only_along_the_allowed_arrows() {
    let (crates, arrows) = arrows();
    let missing: Vec<_> = crates
        .iter()
        .filter(|name| ALLOWED.iter().all(|(known, ..)| known != name))
        .collect();
    assert!(missing.is_empty(), "not in the table: {missing:?}");
    let found = forbidden(&crates, &arrows);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn an_arrow_outside_the_table_is_found_with_its_reason() {
    let arrow = |from: &str, to: &str, test_only| Arrow {
        from: from.to_owned(),
        to: to.to_owned(),
        test_only,
    };
    let crates: Vec<String> = ALLOWED
        .iter()
        .map(|(name, ..)| (*name).to_owned())
        .collect();
    let bad = [
        arrow("overlay", "sip", false),
        arrow("overlay", "tokio", false),
        arrow("machine", "sim", true),
    ];
    let found = forbidden(&crates, &bad);
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found[0].contains("opaque records"));
    let good = [
        arrow("overlay", "sim", true),
        arrow("overlay", "proptest", true),
        arrow("p2psip", "sip", false),
    ];
    assert!(forbidden(&crates, &good).is_empty());
}

#[test]
fn ring_is_the_only_crypto_provider() {
    let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock"))
        .expect("the lock file");
    for other in [
        "aws-lc-rs",
        "aws-lc-sys",
        "openssl",
        "openssl-sys",
        "native-tls",
    ] {
        assert!(
            !lock.contains(&format!("name = \"{other}\"\n")),
            "{other} came in: two providers, and rustls can't choose"
        );
    }
}
