//! The tests that drive real browsers: `cargo xtask test browser`.

mod calls;
mod harness;
mod stage;
