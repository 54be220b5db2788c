//! `cargo xtask bench turn`: what relaying costs here and at coturn.

use std::process::ExitCode;
use tests::turning::{Plan, run};

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match Plan::read(&words) {
        Ok(plan) => {
            print!("{}", run(&plan).await);
            ExitCode::SUCCESS
        }
        Err(fault) => {
            eprintln!("{fault}");
            ExitCode::from(2)
        }
    }
}
