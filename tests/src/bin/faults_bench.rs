//! `cargo xtask bench faults`: the faults of `tests::faults` in full, with what is expected of each.

use std::process::ExitCode;
use std::time::Duration;
use tests::faults::{crash, portion, restart, split};

const USAGE: &str = "usage: faults_bench [crash] [split] [restart] [--ordinary N]";

#[tokio::main]
async fn main() -> ExitCode {
    let (mut chosen, mut ordinary) = (Vec::new(), None);
    let mut words = std::env::args().skip(1);
    if std::env::args().nth(1).as_deref() == Some("portion") {
        portion::serve_lines(words.skip(1)).await;
        return ExitCode::SUCCESS;
    }
    while let Some(word) = words.next() {
        match word.as_str() {
            "crash" | "split" | "restart" => chosen.push(word),
            "--ordinary" => {
                ordinary = words.next().and_then(|number| number.parse().ok());
                if ordinary.is_none() {
                    eprintln!("--ordinary needs a number");
                    return ExitCode::from(2);
                }
            }
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    let wanted = |name: &str| chosen.is_empty() || chosen.iter().any(|word| word == name);
    if wanted("crash") {
        crash(ordinary.unwrap_or(200), true).await;
        crash(ordinary.unwrap_or(200), false).await;
    }
    if wanted("split") {
        split(ordinary.unwrap_or(100)).await;
    }
    if wanted("restart") {
        restart(ordinary.unwrap_or(10_000)).await;
    }
    ExitCode::SUCCESS
}

async fn crash(ordinary: usize, neighbours: bool) {
    let plan = crash::Plan {
        super_nodes: (24, 8),
        neighbours,
        ordinary,
        after: Duration::from_secs(60),
        rest: Duration::from_secs(1),
    };
    let whom = if neighbours {
        "neighbours on the ring"
    } else {
        "any"
    };
    println!(
        "8 of 24 super nodes killed at once ({whom}) under {ordinary} ordinary nodes\n{}\n  expected: no record lost \
         that kept a replica, all others back within 60 s, 95 % success within 10 s, 99.9 % after that\n",
        crash::run(plan).await
    );
}

async fn split(ordinary: usize) {
    let plan = split::Plan {
        super_nodes: 10,
        ordinary: ordinary / 2,
        split: Duration::from_secs(60),
        patience: Duration::from_secs(120),
    };
    println!(
        "20 super nodes and {ordinary} ordinary nodes split in halves for 60 s\n{}\n  expected: one ring within 30 s, no \
         record lost\n",
        split::run(plan).await
    );
}

async fn restart(ordinary: usize) {
    let plan = restart::Plan {
        super_nodes: 10,
        ordinary,
        secure: true,
        patience: Duration::from_secs(180),
        program: std::env::current_exe().ok(),
    };
    println!(
        "{ordinary} ordinary nodes restart at once against 10 super nodes, over TLS\n{}\n  expected: all within 60 s\n",
        restart::run(plan).await
    );
}
