use crate::TURN;
use overlay::Reading;
use std::path::Path;
use tests::faults::seen;
use tests::{Crowd, Farm, Ordinary, PATIENCE, until};
use tokio::time::Instant;

/// Records that each user places, and how long they are.
const RECORDS: usize = 12;
const LENGTH: usize = 16 << 10;

/// A program that gives the super node a disk of its own for its data, which vanishes with it: what lies in the directory
/// is on it, and something that leaves no room, if it shall be full.
fn small_disk(data: &Path, full: bool) -> Vec<String> {
    let fill = if full {
        "dd if=/dev/zero of=\"$0/filler\" bs=4k 2>/dev/null || :"
    } else {
        "head -c 7000000 /dev/zero > \"$0/filler\""
    };
    let script = format!(
        "copy=$(mktemp -d); cp -a \"$0\"/. \"$copy\"
         mount -t tmpfs -o size=12m tmpfs \"$0\" || exit 1
         cp -a \"$copy\"/. \"$0\"; rm -r \"$copy\"
         {fill}
         exec \"$@\""
    );
    let data = data.display().to_string();
    let words = ["unshare", "--mount", "sh", "-ec", &script, &data];
    words.map(str::to_owned).to_vec()
}

fn url(farm: &Farm, number: usize) -> [String; 1] {
    [farm.nodes()[number].url.clone()]
}

async fn says(farm: &Farm, number: usize, words: &str) {
    until("a word in the log", PATIENCE, async || {
        let output = farm.nodes()[number].output();
        output.contains(words).then_some(()).ok_or(output)
    })
    .await;
}

async fn place(owner: &Ordinary, number: usize) {
    until("room for a record", PATIENCE, async || {
        owner.place(&format!("name {number}"), LENGTH).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_of_and_the_super_node_goes_on_and_starts() {
    let _turn = TURN.lock().await;
    let mut farm = Farm::prepare(&vec![Default::default(); 3], &[]);
    let data = farm.nodes()[2].directory().to_owned();
    farm.within(2, small_disk(&data, false));
    farm.run_all().await;

    let crowd = Crowd::new(&farm, 60);
    let mut users = 0..60;
    while !farm.nodes()[2].output().contains("can't be written") {
        let user = users.next().expect("the disk is full by now");
        let owner = crowd.start(user, url(&farm, 2), false);
        for number in 0..RECORDS {
            place(&owner, number).await;
        }
    }
    let told = farm.nodes()[2].output();
    assert!(
        told.contains("No space left") && told.contains("The node goes on"),
        "{told}"
    );
    let (mut other, owner) = (crowd.start(59, url(&farm, 2), true), crowd.uris().nth(59));
    other.stands(1, true).await;
    let owner = owner.expect("there are sixty");
    let sequence = other.update().await.expect("the node goes on");
    assert_eq!(other.get(owner, owner, Reading::Newest).await, Ok(sequence));

    // With room again, records are kept again.
    let pid = farm.nodes()[2].pid().expect("it runs");
    let seen_by_it = format!("/proc/{pid}/root{}/filler", data.display());
    std::fs::remove_file(seen_by_it).expect("its disk has something in the way");
    other.update().await.expect("the node goes on");
    says(&farm, 2, "records outlast a restart again").await;

    // Full from the start.
    farm.kill(2);
    farm.within(2, small_disk(&data, true));
    farm.run_all().await;
    says(&farm, 2, "The node starts without it").await;
    let told = farm.nodes()[2].output();
    assert!(
        told.contains("No space left") && !told.contains("records.damaged"),
        "{told}"
    );
    let reader = crowd.start(0, url(&farm, 2), false);
    let deadline = Instant::now() + PATIENCE;
    assert!(seen(&reader, owner, sequence, deadline).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn r023_a_damaged_file_is_told_of_and_its_records_come_back_from_the_replicas() {
    let _turn = TURN.lock().await;
    let mut farm = Farm::start(3).await;
    let file = farm.nodes()[2].directory().join("records.redb");
    let crowd = Crowd::new(&farm, 20);
    let uris: Vec<String> = crowd.uris().map(str::to_owned).collect();
    let mut placed = Vec::new();
    for user in 0..uris.len() {
        let mut owner = crowd.start(user, url(&farm, user % 2), true);
        owner.stands(1, true).await;
        placed.push(owner.standing.borrow().placed.expect("it stands"));
        // The owner vanishes, and will not place it again.
    }
    until_kept(&file, &uris).await;

    farm.kill(2);
    let mut bytes = std::fs::read(&file).expect("the node has kept something");
    for byte in bytes.iter_mut().skip(4_096) {
        *byte ^= 0xa5;
    }
    std::fs::write(&file, bytes).expect("the directory is ours");
    farm.run_all().await;
    says(&farm, 2, "records come back from the other replicas").await;
    assert!(file.with_extension("damaged").exists());
    until_kept(&file, &uris).await;

    // Nobody else has them now.
    farm.kill(0);
    farm.kill(1);
    let reader = crowd.start(0, url(&farm, 2), false);
    for (uri, sequence) in uris.iter().zip(placed) {
        let found = seen(&reader, uri, sequence, Instant::now() + PATIENCE).await;
        assert!(found.is_some(), "{uri}");
    }
}

/// Waits until the file holds a record of each of these; every record names its owner.
async fn until_kept(file: &Path, uris: &[String]) {
    until("records in the file", PATIENCE, async || {
        let bytes = std::fs::read(file).unwrap_or_default();
        let holds = |uri: &&String| {
            // One name begins another.
            let name = format!("{uri} ");
            bytes
                .windows(name.len())
                .any(|part| part == name.as_bytes())
        };
        let lacking = uris.iter().filter(|uri| !holds(uri)).count();
        if lacking == 0 { Ok(()) } else { Err(lacking) }
    })
    .await;
}
