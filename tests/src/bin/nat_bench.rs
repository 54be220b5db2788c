//! `cargo xtask bench nat`: calls behind every kind of NAT, each against each.

use std::process::ExitCode;
use tests::nat::run;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(table) => {
            print!("{table}");
            ExitCode::SUCCESS
        }
        Err(fault) => {
            eprintln!("{fault}");
            ExitCode::from(2)
        }
    }
}
