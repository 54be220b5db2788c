use super::*;
use std::time::Duration;

use tokio::time::timeout;

use crate::testing::{Offline, PATIENCE, sees, super_node_config};

#[tokio::test]
async fn r092_super_nodes_form_a_network_without_login_and_bootstrap_server() {
    let overlay = Offline::new();
    let mut first = overlay.super_node("1", &[]).await;
    let mut second = overlay.super_node("2", &[&first]).await;
    // The third is told of the second alone, and hears of the first from it.
    let mut third = overlay.super_node("3", &[&second]).await;
    for node in [&mut first, &mut second, &mut third] {
        sees(node, 3).await;
    }

    // One whose certificate comes from elsewhere is not let in.
    let mut stranger = Offline::new().super_node("1", &[&first]).await;
    sees(&mut stranger, 1).await;
    assert_eq!(first.status.borrow().members.len(), 3);

    third.leave().await;
    sees(&mut first, 2).await;
}

#[tokio::test]
async fn the_program_of_a_super_node_places_and_finds_records() {
    let overlay = Offline::new();
    let mut first = overlay.super_node("1", &[]).await;
    let mut second = overlay.super_node("2", &[&first]).await;
    for node in [&mut first, &mut second] {
        sees(node, 2).await;
    }
    let key = RecordKey::of(b"weather|oslo");
    assert_eq!(second.replicas(key).await.len(), 2);
    assert_eq!(second.get(key, None).await, Err(GetError::NotFound));
    let lasting = Placement::lasting(600);
    let placed = first.update(key, b"rain".to_vec(), lasting);
    let sequence = placed.await.unwrap();
    let found = second.get(key, Some(first.node.to_string()));
    let found = found.await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].body, b"rain");
    assert_eq!(found[0].control.sequence, sequence);
    let others = second.get(key, Some(second.node.to_string())).await;
    assert_eq!(others, Err(GetError::NotFound));
    let endless = Placement::lasting(u32::MAX);
    let refused = first.update(key, b"sun".to_vec(), endless).await;
    assert_eq!(refused, Err(PlaceError::Lifetime));
}

#[tokio::test]
async fn r092_a_node_without_certificate_and_login_server_is_told_how_to_get_one() {
    let directory = tempfile::tempdir().unwrap();
    let config = super_node_config(directory.path(), "url = \"http://127.0.0.1:0\"\n");
    let refused = start(config).await.unwrap_err().to_string();
    assert!(
        refused.contains("relay-node ca issue super-node --out"),
        "{refused}"
    );
}

#[tokio::test]
async fn r092_a_certificate_issued_anew_keeps_the_node_id_and_is_taken_up() {
    let overlay = Offline::new();
    let data = overlay.path("node");
    let first = overlay.issue_super_node(data.clone(), 30).unwrap();
    let config = super_node_config(&data, "url = \"http://127.0.0.1:0\"\n");
    let (clock, vault) = (Clock::start(), Vault::open(&data).unwrap());
    let client = Client::new(tls::client(None).unwrap());
    let identity = enrol::enrol(&config, &vault, &client, &clock)
        .await
        .unwrap();
    let none = enrol::renew(&config, &vault, &client, &clock, &identity).await;
    assert!(matches!(none, Err(EnrolError::NoneNewer(_))), "{none:?}");
    assert_eq!(overlay.issue_super_node(data.clone(), 60).unwrap(), first);
    let renewed = enrol::renew(&config, &vault, &client, &clock, &identity).await;
    assert_eq!(renewed.unwrap().node, identity.node);

    let refused = Offline::new().issue_super_node(data, 30).unwrap_err();
    assert!(refused.to_string().contains("another overlay"), "{refused}");
}

/// A super node that takes its time over seeds, and writes down what it is told of the load.
struct Slow {
    core: SuperNodeCore,
    loads: watch::Sender<Vec<u8>>,
}

impl machine::Machine for Slow {
    type Input = SuperNodeInput;
    type Output = p2psip::SuperNodeOutput;

    fn handle_input(&mut self, input: SuperNodeInput, now: machine::Instant) {
        match input {
            SuperNodeInput::Seeds(_) => std::thread::sleep(Duration::from_millis(3)),
            SuperNodeInput::Load(load) => {
                self.loads.send_modify(|loads| loads.push(load));
                self.core.handle_input(input, now);
            }
            other => self.core.handle_input(other, now),
        }
    }

    fn handle_timeout(&mut self, now: machine::Instant) {
        self.core.handle_timeout(now);
    }

    fn poll_output(&mut self) -> Option<Self::Output> {
        self.core.poll_output()
    }

    fn poll_timeout(&self) -> Option<machine::Instant> {
        self.core.poll_timeout()
    }
}

impl SuperNodeMachine for Slow {
    fn leave(&mut self, now: machine::Instant) {
        SuperNodeCore::leave(&mut self.core, now);
    }

    fn set_credential(
        &mut self,
        certificate: credential::Certificate,
        statement: credential::MemberStatement,
        now: machine::Instant,
    ) {
        SuperNodeCore::set_credential(&mut self.core, certificate, statement, now);
    }

    fn core(&mut self) -> &mut SuperNodeCore {
        &mut self.core
    }
}

#[tokio::test]
async fn a_node_that_can_not_keep_up_is_told_so_and_told_when_it_can_again() {
    let overlay = Offline::new();
    let data = overlay.path("slow");
    overlay.issue_super_node(data.clone(), 30).unwrap();
    let config = super_node_config(&data, "url = \"http://127.0.0.1:0\"\n");
    let (loads, mut told) = watch::channel(Vec::new());
    let mut node = start_with(config, |config, now| Slow {
        core: SuperNodeCore::new(config, now),
        loads,
    })
    .await
    .unwrap();
    sees(&mut node, 1).await;
    for _ in 0..1_500 {
        let fact = Arrival::Fact(SuperNodeInput::Seeds(Vec::new()));
        node.arrivals.try_send(fact).unwrap();
    }
    let last = |loads: &Vec<u8>| loads.last().copied().unwrap_or_default();
    let high = told.wait_for(|loads| last(loads) >= 50);
    drop(timeout(PATIENCE, high).await.unwrap().unwrap());
    let low = told.wait_for(|loads| last(loads) < 50);
    drop(timeout(PATIENCE, low).await.unwrap().unwrap());
}
