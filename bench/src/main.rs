//! Measurements that need no sockets: `cargo xtask bench overlay` runs this.

mod overlay;

use anyhow::bail;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["overlay", rest @ ..] => overlay::run(rest),
        _ => bail!(
            "usage: bench overlay [--full] [--write] [--members N] [--hours H] [--seeds N] [--minutes N]"
        ),
    }
}
