//! Every vector of `docs/protocol.md`, built by an encoder that shares nothing with ours.

use std::process::Command;

#[test]
fn r126_r108_r095_r038_a_second_encoder_builds_every_vector() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let run = Command::new("python3")
        .arg(format!("{root}/tests/second-encoder/vectors.py"))
        .arg(format!("{root}/docs/protocol.md"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("the second encoder needs python3: apt-get install python3");
    assert!(
        run.status.success(),
        "{}{}",
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr)
    );
}
