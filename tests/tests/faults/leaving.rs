use crate::TURN;
use overlay::Reading;
use tests::faults::replicas;
use tests::{Crowd, Farm, PATIENCE, until};

/// Users, the records of each, and how long these are: 1.9 MB in all, which takes longer than a moment to hand on.
const USERS: usize = 8;
const RECORDS: usize = 15;
const LENGTH: usize = 16 << 10;

#[tokio::test(flavor = "multi_thread")]
async fn r022_a_super_node_that_is_told_to_end_hands_on_what_it_alone_has() {
    let _turn = TURN.lock().await;
    let mut farm = Farm::start(8).await;
    // The records have the same five keepers.
    let keepers = replicas(&farm, "name 0");
    let names = (0..).map(|number| format!("name {number}"));
    let theirs = names.filter(|name| replicas(&farm, name) == keepers);
    let names: Vec<String> = theirs.take(RECORDS).collect();
    let others = farm.nodes().iter();
    let others = others.filter(|node| !keepers.contains(&node.id));
    let others: Vec<String> = others.map(|node| node.url.clone()).collect();

    let crowd = Crowd::new(&farm, USERS);
    for number in 0..USERS {
        let owner = crowd.start(number, others.clone(), false);
        for name in &names {
            until("room for a record", PATIENCE, async || {
                owner.place(name, LENGTH).await
            })
            .await;
        }
        // The owner goes, and does not place them again.
    }

    let number = |id| farm.nodes().iter().position(|node| node.id == id);
    let numbers: Vec<usize> = keepers.iter().filter_map(|&id| number(id)).collect();
    let [first, second, last, fourth, fifth] = numbers[..] else {
        panic!("five super nodes keep a record: {numbers:?}");
    };
    for number in [first, second, fourth, fifth] {
        farm.kill(number);
    }
    farm.terminate(last);
    farm.ended(last).await;

    let reader = crowd.start(0, others, false);
    for owner in crowd.uris() {
        for name in &names {
            until("a record", PATIENCE, async || {
                reader.get(name, owner, Reading::Quick).await
            })
            .await;
        }
    }
}
