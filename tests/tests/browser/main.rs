//! The tests that drive real browsers: `cargo xtask test browser`.

mod accounts;
mod alone;
mod away;
mod calls;
mod devices;
mod evil;
mod fourth;
mod frames;
mod harness;
mod native;
mod nats;
mod relayed;
mod stage;
mod survival;
mod within;
