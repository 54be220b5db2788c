use std::sync::{Arc, Mutex};

use tokio::time::timeout;

use super::*;
use crate::config;
use crate::ordinary;
use crate::testing::{Offline, PATIENCE, super_node_config};

const GOOD: Facts = Facts {
    associated: true,
    cores: 2,
    memory: Some(1_024),
    load: Some(0.2),
};

fn at(seconds: u64) -> Instant {
    Instant::EPOCH + Duration::from_secs(seconds)
}

fn found(reached: bool) -> Found {
    Found {
        reached,
        upload: Some(10e6),
        why: String::new(),
    }
}

/// A career that has been good for so long that a probe is due.
fn ripe() -> (Career, u64) {
    let rules = Promotion::default();
    let mut career = Career::new(rules);
    assert_eq!(career.look(GOOD, at(0)), Step::Wait(Lack::Uptime));
    (career, rules.uptime)
}

#[test]
fn r120_who_was_not_there_long_enough_without_interruption_stays_ordinary() {
    let (mut career, uptime) = ripe();
    assert_eq!(career.look(GOOD, at(uptime - 1)), Step::Wait(Lack::Uptime));
    let lost = Facts {
        associated: false,
        ..GOOD
    };
    assert_eq!(career.look(lost, at(uptime)), Step::Wait(Lack::Uptime));
    assert_eq!(career.look(GOOD, at(uptime + 1)), Step::Wait(Lack::Uptime));
    assert_eq!(career.look(GOOD, at(2 * uptime + 1)), Step::Probe);
}

#[test]
fn r014_r121_who_lacks_resources_stays_ordinary() {
    let (mut career, uptime) = ripe();
    let poor = [
        (Facts { cores: 0, ..GOOD }, Lack::Cores),
        (
            Facts {
                memory: Some(255),
                ..GOOD
            },
            Lack::Memory,
        ),
        (
            Facts {
                load: Some(0.71),
                ..GOOD
            },
            Lack::Load,
        ),
    ];
    for (facts, lack) in poor {
        assert_eq!(career.look(facts, at(uptime)), Step::Wait(lack));
    }
    assert_eq!(career.look(GOOD, at(uptime)), Step::Probe);
    let slow = Found {
        upload: Some(1e6),
        ..found(true)
    };
    assert_eq!(career.probed(Some(&slow), at(uptime)), Verdict::Stay);
    assert_eq!(
        career.probed(Some(&found(true)), at(uptime)),
        Verdict::Promote
    );
}

#[test]
fn r119_who_is_not_reached_from_outside_stays_ordinary() {
    let (mut career, uptime) = ripe();
    assert_eq!(career.look(GOOD, at(uptime)), Step::Probe);
    assert_eq!(
        career.probed(Some(&found(false)), at(uptime)),
        Verdict::Stay
    );
    assert_eq!(career.probed(None, at(uptime)), Verdict::Stay);
    assert_eq!(career.look(GOOD, at(uptime)), Step::Probe);
}

#[test]
fn r118_r119_who_is_reached_no_more_steps_back_and_rests() {
    let rules = Promotion::default();
    let (mut career, uptime) = ripe();
    assert_eq!(
        career.probed(Some(&found(true)), at(uptime)),
        Verdict::Promote
    );
    for _ in 1..rules.misses {
        assert_eq!(
            career.probed(Some(&found(false)), at(uptime)),
            Verdict::Stay
        );
    }
    // One success makes up for the misses before it, and nobody to ask is no miss.
    assert_eq!(career.probed(Some(&found(true)), at(uptime)), Verdict::Stay);
    for _ in 1..rules.misses {
        assert_eq!(
            career.probed(Some(&found(false)), at(uptime)),
            Verdict::Stay
        );
        assert_eq!(career.probed(None, at(uptime)), Verdict::Stay);
    }
    assert_eq!(
        career.probed(Some(&found(false)), at(uptime)),
        Verdict::StepBack
    );
    let end = uptime + rules.rest;
    assert_eq!(career.look(GOOD, at(end - 1)), Step::Wait(Lack::Rest));
    assert_eq!(career.look(GOOD, at(end)), Step::Probe);
}

#[test]
fn r121_a27_load_and_want_of_memory_alone_never_demote() {
    let (mut career, uptime) = ripe();
    assert_eq!(
        career.probed(Some(&found(true)), at(uptime)),
        Verdict::Promote
    );
    let overloaded = Facts {
        associated: false,
        cores: 0,
        memory: Some(0),
        load: Some(100.0),
    };
    for minute in 0..1_000 {
        let now = at(uptime + 60 * minute);
        assert_eq!(career.look(overloaded, now), Step::Probe);
        let slow = Found {
            upload: Some(1.0),
            ..found(true)
        };
        assert_eq!(career.probed(Some(&slow), now), Verdict::Stay);
    }
}

#[test]
fn free_memory_is_read() {
    let text = "MemTotal:  8000000 kB\nMemFree:  100 kB\nMemAvailable:    2097152 kB\n";
    assert_eq!(free_memory(text), Some(2_048));
    assert_eq!(free_memory("nothing"), None);
}

/// Rules that any machine meets.
fn at_once() -> Promotion {
    Promotion {
        uptime: 0,
        memory: 0,
        load: f64::MAX,
        upload: 0.0,
        every: 1,
        ..Promotion::default()
    }
}

async fn alice(overlay: &Offline, first: &RunningNode) -> ordinary::RunningOrdinary {
    let text = format!(
        "[ordinary_node]\ndata = {:?}\nmulticast = false\nseeds = [{:?}]\n",
        overlay.user("alice"),
        first.config.url.as_str()
    );
    let config = config::parse(std::path::Path::new("n.toml"), &text, [], &[]).unwrap();
    ordinary::start(config.ordinary_node.unwrap())
        .await
        .unwrap()
}

/// What was logged.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn r125_who_could_be_a_super_node_is_encouraged_once_and_not_made_one() {
    let (log, overlay) = (Log::default(), Offline::new());
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone());
    let _logging = tracing::subscriber::set_default(subscriber.finish());
    let mut first = overlay.super_node("1", &[]).await;
    crate::testing::sees(&mut first, 1).await;
    let ordinary = alice(&overlay, &first).await;
    let told = || {
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        text.matches(ENCOURAGEMENT).count()
    };

    let poor = Promotion {
        cores: usize::MAX,
        ..at_once()
    };
    let nothing = timeout(
        Duration::from_secs(2),
        encourage(poor, ordinary.applicant()),
    )
    .await;
    assert!(
        nothing.is_err() && told() == 0,
        "who lacks something is left alone"
    );
    let encouraged = encourage(at_once(), ordinary.applicant());
    timeout(PATIENCE, encouraged).await.unwrap();
    assert_eq!(told(), 1);
    assert_eq!(first.status.borrow().members.len(), 1, "it is no member");
}

#[tokio::test]
async fn r083_r118_r119_a_node_that_is_reached_becomes_a_super_node_and_steps_back() {
    let overlay = Offline::new();
    let mut first = overlay.super_node("1", &[]).await;
    crate::testing::sees(&mut first, 1).await;
    // The operator put a certificate there; the node is an ordinary one nevertheless, until it is reached.
    let data = overlay.path("2");
    overlay.issue_super_node(data.clone(), 30).unwrap();
    let seeds = vec![format!("{}@{}", first.node, first.config.quic_public())];
    let more = format!("url = \"http://127.0.0.1:0\"\nseeds = {seeds:?}\n");
    let node_config = super_node_config(&data, &more);
    let ordinary = alice(&overlay, &first).await;
    let rules = at_once();
    let mut promoted = start(rules, node_config, ordinary.applicant());
    let up = promoted.status.wait_for(Option::is_some);
    drop(timeout(PATIENCE, up).await.unwrap().unwrap());
    crate::testing::sees(&mut first, 2).await;
    promoted.leave().await;
    crate::testing::sees(&mut first, 1).await;
}
