//! Whole networks of real processes: what an operator and his pages see.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[expect(dead_code, reason = "the other tests use the rest")]
#[path = "network/stage.rs"]
mod stage;

use std::time::Duration;

use stage::{Http, Network, SpawnGuarded, relay_node};

#[test]
fn r001_three_super_nodes_form_a_ring_that_names_itself() {
    let network = Network::start(3);
    let ready = &network.ready;
    assert_eq!(ready["domain"], "example.org");
    assert_eq!(ready["super_nodes"].as_array().unwrap().len(), 3);
    for index in 0..3 {
        network.wait_for_log(index, "members=3");
        let about = network.page(index).get("/.well-known/partyline");
        assert_eq!(about.status, 200);
        let about: serde_json::Value = serde_json::from_str(&about.body).unwrap();
        assert_eq!(about["overlay"], ready["overlay"]);
        assert_eq!(about["node"], ready["super_nodes"][index]["node"]);
        assert_eq!(about["login"], ready["login"]["url"]);
        assert_eq!(network.page(index).get("/readyz").status, 200);
    }
    for node in ready["super_nodes"].as_array().unwrap() {
        let seen = stage::stun(node["stun"].as_str().unwrap());
        assert_eq!(seen.0, seen.1, "STUN tells the address that it sees");
    }
    let listed = Http::at(ready["bootstrap"]["url"].as_str().unwrap()).get("/super-nodes");
    for index in 0..3 {
        let node = ready["super_nodes"][index]["node"].as_str().unwrap();
        assert!(listed.body.contains(node), "{}", listed.body);
    }
}

#[test]
fn killed_super_node_is_missed_within_seconds_and_welcomed_back() {
    let network = Network::start(3);
    for index in 0..3 {
        network.wait_for_log(index, "members=3");
    }
    let before = network.log(0).len();
    stage::kill(network.pid(2));
    network.wait_for_log_after(0, before, "members=2");
    assert_eq!(network.page(0).get("/readyz").status, 200);
    assert_eq!(network.page(1).get("/readyz").status, 200);

    let before = network.log(0).len();
    let config = network.ready["super_nodes"][2]["config"].as_str().unwrap();
    let mut again = relay_node(&["run", "--config", config]);
    let _again = again.spawn_guarded();
    network.page(2).wait_until_ready();
    network.wait_for_log_after(0, before, "members=3");
}

#[test]
fn r104_r110_r123_fourth_node_joins_from_ten_lines_over_https() {
    let network = Network::start(3);
    let fourth = network.join_over_https();
    let config = fourth.config.to_str().unwrap();
    let checked = relay_node(&["config", "check", config]).output().unwrap();
    let complaint = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{complaint}");
    network.wait_for_log(0, "members=4");
    let headers = fourth.https.get("/.well-known/partyline").headers;
    assert!(headers.contains("strict-transport-security"), "{headers}");
    // What it keeps is for its owner alone, and once enrolled it needs no token.
    let key = network.directory().join("fourth/node.key");
    assert_eq!(stage::mode(&key), 0o600);
    std::fs::remove_file(network.directory().join("token")).unwrap();
    let before = network.log(0).len();
    stage::terminate(fourth.process.id());
    network.wait_for_log_after(0, before, "members=3");
    drop(fourth.process);
    let _fourth = relay_node(&["run", "--config", config]).spawn_guarded();
    fourth.https.wait_until_ready();
}

#[test]
fn certificates_are_renewed_before_they_end() {
    let lifetimes = ("PARTYLINE_LOGIN_LIFETIMES", "{ super_node = 20 }");
    let network = Network::start_with(2, &[lifetimes]);
    network.wait_for_log(0, "members=2");
    // The first certificates have ended by then, and nobody was missed.
    std::thread::sleep(Duration::from_secs(20));
    for index in 0..2 {
        assert!(network.log(index).contains("certificate renewed"));
    }
    for index in 0..2 {
        assert_eq!(network.page(index).get("/readyz").status, 200);
        let log = network.log(index);
        let last = log.lines().rfind(|line| line.contains("members="));
        assert!(last.unwrap().contains("members=2"), "{log}");
    }
    // A newcomer of now is linked with by the renewed certificates.
    let _fourth = network.join_over_https();
    network.wait_for_log(0, "members=3");
}

#[test]
fn a08_spent_token_enrols_nobody() {
    let network = Network::start(1);
    let login = network.ready["login"]["config"].as_str().unwrap();
    let token = relay_node(&["token", "--config", login])
        .output()
        .unwrap()
        .stdout;
    let token = String::from_utf8(token).unwrap();
    for (name, expected) in [("first", true), ("second", false)] {
        let page = stage::free_tcp();
        let config = network.directory().join(format!("{name}.toml"));
        let text = format!(
            "[super_node]\ndata = {:?}\nlisten = \"127.0.0.1:{page}\"\nurl = \"http://127.0.0.1:{page}\"\n\
             login = {}\ntoken = {:?}\nstun = \"127.0.0.1:{}\"\n",
            network.directory().join(name),
            network.ready["login"]["url"],
            token.trim(),
            stage::free_udp(),
        );
        std::fs::write(&config, text).unwrap();
        let mut command = relay_node(&["run", "--config", config.to_str().unwrap()]);
        if expected {
            let _node = command.spawn_guarded();
            Http::at(&format!("http://127.0.0.1:{page}")).wait_until_ready();
        } else {
            let refused = command.output().unwrap();
            assert!(!refused.status.success());
            let sentence = String::from_utf8(refused.stderr).unwrap();
            assert!(sentence.contains("refused"), "{sentence}");
            assert!(!sentence.contains(token.trim()), "the token is in the log");
        }
    }
}

#[test]
fn a02_r018_super_node_certificate_of_another_overlay_is_refused_in_words() {
    let (ours, theirs) = (Network::start(1), Network::start(1));
    let (own, other) = (
        ours.directory().join("node1"),
        theirs.directory().join("node1"),
    );
    stage::terminate(ours.pid(0));
    stage::wait_until_ended(ours.pid(0));
    // The operator mixed up the backups of two nodes.
    for file in ["enrolment.json", "node.key"] {
        std::fs::copy(other.join(file), own.join(file)).unwrap();
    }
    let config = ours.ready["super_nodes"][0]["config"].as_str().unwrap();
    let refused = relay_node(&["run", "--config", config]).output().unwrap();
    assert!(!refused.status.success());
    let sentence = String::from_utf8(refused.stderr).unwrap();
    let (ours, theirs) = (&ours.ready["overlay"], &theirs.ready["overlay"]);
    assert!(sentence.contains("belongs to overlay"), "{sentence}");
    assert!(sentence.contains(ours.as_str().unwrap()), "{sentence}");
    assert!(sentence.contains(theirs.as_str().unwrap()), "{sentence}");
}

#[test]
fn r092_r105_rejoins_by_remembered_peers_without_login_or_bootstrap_server() {
    let network = Network::start(3);
    for index in 0..3 {
        network.wait_for_log(index, "members=3");
    }
    stage::kill(network.ready["login"]["pid"].as_u64().unwrap() as u32);
    stage::terminate(network.pid(2));
    stage::wait_until_ended(network.pid(2));
    let before = network.log(0).len();
    let config = network.ready["super_nodes"][2]["config"].as_str().unwrap();
    let _again = relay_node(&["run", "--config", config]).spawn_guarded();
    network.page(2).wait_until_ready();
    network.wait_for_log_after(0, before, "members=3");
}

#[test]
fn children_end_with_the_parent_however_it_ends() {
    let mut network = Network::start(2);
    let children: Vec<_> = (0..2).map(|index| network.pid(index)).collect();
    stage::kill(network.parent());
    network.reap();
    for child in children {
        stage::wait_until_ended(child);
    }
}

#[test]
fn port_in_use_is_said_in_one_sentence() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = relay_node(&["dev", "--http", &address]).output().unwrap();
    assert!(!refused.status.success());
    assert!(refused.stdout.is_empty());
    let sentence = String::from_utf8(refused.stderr).unwrap();
    let expected = format!(
        "port {} is in use by another program",
        taken.local_addr().unwrap().port()
    );
    assert!(sentence.contains(&expected), "{sentence}");
}

#[test]
fn r104_r110_clear_text_off_loopback_is_refused_in_one_sentence() {
    let refused = relay_node(&["dev", "--http", "0.0.0.0:0"])
        .output()
        .unwrap();
    assert!(!refused.status.success());
    let sentence = String::from_utf8(refused.stderr).unwrap();
    assert!(sentence.contains("clear text"), "{sentence}");
}
