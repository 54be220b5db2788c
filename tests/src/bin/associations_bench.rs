//! `cargo xtask bench associations`: what an idle association costs a super node.

use std::process::ExitCode;
use std::time::Duration;
use tests::idle::{Plan, run};

#[tokio::main]
async fn main() -> ExitCode {
    let associations = match std::env::args().nth(1).map(|number| number.parse()) {
        None => 10_000,
        Some(Ok(number)) => number,
        Some(Err(_)) => {
            eprintln!("usage: associations_bench [NUMBER]");
            return ExitCode::from(2);
        }
    };
    let plan = Plan {
        associations,
        rest: Duration::from_secs(30),
    };
    println!(
        "{associations} ordinary nodes at one super node, by secured WebSockets\n{}\n  expected: at most 24 KiB each",
        run(plan).await
    );
    ExitCode::SUCCESS
}
