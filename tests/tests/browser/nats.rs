//! Calls of pages that are behind NATs.

use tests::{nat, turn};

/// The trials have threads and runtimes of their own, one for each namespace.
fn try_out(trial: fn()) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let _turn = runtime.block_on(turn());
    trial();
}

#[test]
fn r112_r113_calls_connect_behind_nats() {
    try_out(nat::check);
}

#[test]
fn r131_who_hides_tells_nobody_his_address() {
    try_out(nat::hides);
}
