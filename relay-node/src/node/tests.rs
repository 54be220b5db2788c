use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::ca::{self, Action, CaError, Issue, Whom};
use crate::config;

/// A ring of three takes seconds; a busy machine gets much more.
const SOON: Duration = Duration::from_secs(60);

fn act(action: Action) -> Result<String, CaError> {
    ca::act(&action, &Clock::start())
}

fn issue(ca: &Path, out: PathBuf) -> Action {
    let issue = Issue {
        ca: ca.to_owned(),
        out,
        public_key: None,
        days: 30,
    };
    Action::Issue {
        whom: Whom::SuperNode(issue),
    }
}

/// A super node that was told of no server at all, and of these others.
async fn node(data: &Path, seeds: &[String]) -> Result<RunningNode, NodeError> {
    let text = format!(
        "[super_node]\ndata = {data:?}\nlisten = \"127.0.0.1:0\"\nurl = \"http://127.0.0.1:0\"\n\
         stun = \"127.0.0.1:0\"\nseeds = {seeds:?}\n"
    );
    let config = config::parse(Path::new("node.toml"), &text, [], &[]).unwrap();
    start(config.super_node.unwrap()).await
}

fn seed(node: &RunningNode) -> String {
    format!("{}@{}", node.node, node.config.quic_public())
}

async fn sees(node: &mut RunningNode, members: usize) {
    let seen = node
        .status
        .wait_for(|status| status.joined && status.members.len() == members);
    timeout(SOON, seen).await.unwrap().unwrap();
}

#[tokio::test]
async fn r092_super_nodes_form_a_network_without_login_and_bootstrap_server() {
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca");
    act(Action::New {
        ca: ca.clone(),
        domain: "example.org".to_owned(),
    })
    .unwrap();
    let data: Vec<_> = (0..3)
        .map(|number| directory.path().join(number.to_string()))
        .collect();
    for data in &data {
        act(issue(&ca, data.clone())).unwrap();
    }
    let mut first = node(&data[0], &[]).await.unwrap();
    let mut second = node(&data[1], &[seed(&first)]).await.unwrap();
    // The third is told of the second alone, and hears of the first from it.
    let mut third = node(&data[2], &[seed(&second)]).await.unwrap();
    for node in [&mut first, &mut second, &mut third] {
        sees(node, 3).await;
    }

    // One whose certificate comes from elsewhere is not let in.
    let strangers = directory.path().join("strangers");
    act(Action::New {
        ca: strangers.clone(),
        domain: "example.org".to_owned(),
    })
    .unwrap();
    let stranger = directory.path().join("stranger");
    act(issue(&strangers, stranger.clone())).unwrap();
    let mut stranger = node(&stranger, &[seed(&first)]).await.unwrap();
    sees(&mut stranger, 1).await;
    assert_eq!(first.status.borrow().members.len(), 3);

    third.leave().await;
    sees(&mut first, 2).await;
}

#[tokio::test]
async fn r092_a_node_without_certificate_and_login_server_is_told_how_to_get_one() {
    let directory = tempfile::tempdir().unwrap();
    let refused = node(directory.path(), &[]).await.unwrap_err().to_string();
    assert!(
        refused.contains("relay-node ca issue super-node --out"),
        "{refused}"
    );
}

#[tokio::test]
async fn r092_a_certificate_issued_anew_keeps_the_node_id_and_is_taken_up() {
    let directory = tempfile::tempdir().unwrap();
    let (ca, data) = (directory.path().join("ca"), directory.path().join("node"));
    act(Action::New {
        ca: ca.clone(),
        domain: "example.org".to_owned(),
    })
    .unwrap();
    let first = act(issue(&ca, data.clone())).unwrap();
    let running = node(&data, &[]).await.unwrap();
    let (clock, vault) = (Clock::start(), Vault::open(&data).unwrap());
    let key = vault.key().unwrap();
    let identity = vault.identity(&key, clock.wall()).unwrap().unwrap();
    let client = Client::new(tls::client(None).unwrap());
    let none = enrol::renew(&running.config, &vault, &client, &clock, &identity).await;
    assert!(matches!(none, Err(EnrolError::NoneNewer(_))), "{none:?}");
    let mut longer = issue(&ca, data.clone());
    if let Action::Issue {
        whom: Whom::SuperNode(issue),
    } = &mut longer
    {
        issue.days = 60;
    }
    assert_eq!(act(longer).unwrap(), first);
    let renewed = enrol::renew(&running.config, &vault, &client, &clock, &identity).await;
    assert_eq!(renewed.unwrap().node, running.node);
    running.leave().await;

    let elsewhere = directory.path().join("other");
    act(Action::New {
        ca: elsewhere.clone(),
        domain: "example.org".to_owned(),
    })
    .unwrap();
    let refused = act(issue(&elsewhere, data)).unwrap_err().to_string();
    assert!(refused.contains("another overlay"), "{refused}");
}
