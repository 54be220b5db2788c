use crate::TURN;
use std::time::Duration;
use tests::faults::{crash, restart, split};

#[tokio::test(flavor = "multi_thread")]
async fn a25_r023_records_outlive_a_third_of_the_super_nodes_or_come_back() {
    let _turn = TURN.lock().await;
    let report = crash::run(crash::Plan {
        super_nodes: (20, 6),
        neighbours: true,
        ordinary: 100,
        after: Duration::from_secs(20),
        rest: Duration::from_secs(1),
    })
    .await;
    println!("{report}");
    assert!(report.kept.1.is_empty(), "{report}");
    assert!(report.back.iter().all(Option::is_some), "{report}");
    assert!(report.success_from(10) >= Some(0.95), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a25_all_ordinary_nodes_restart_at_once_and_are_registered_within_a_minute() {
    let _turn = TURN.lock().await;
    let report = restart::run(restart::Plan {
        super_nodes: 10,
        ordinary: 300,
        secure: false,
        patience: Duration::from_secs(60),
        program: None,
    })
    .await;
    println!("{report}");
    assert!(report.all.is_some(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a25_r022_halves_of_a_split_network_become_one_ring_and_lose_no_record() {
    let _turn = TURN.lock().await;
    let report = split::run(split::Plan {
        super_nodes: 4,
        ordinary: 20,
        split: Duration::from_secs(15),
        patience: Duration::from_secs(60),
    })
    .await;
    println!("{report}");
    assert!(report.parted.is_some(), "{report}");
    let in_time = |merged| merged <= Duration::from_secs(30);
    assert!(report.merged.is_some_and(in_time), "{report}");
    assert!(report.missing.is_empty(), "{report}");
}
