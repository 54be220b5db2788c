//! End to end tests: real super-node processes, real browsers, the page as it is delivered.
//!
//! The library is what the tests share: [`Network`] starts the built node, [`Browser`] starts Chromium or Firefox,
//! [`Page`] does what a user does. Waiting is always for a state of the page, never for time to pass; everything that
//! a test started ends with it. The tests themselves are in `tests/tests`; `cargo xtask test browser` runs those that
//! need browsers.
//!
//! Super nodes without browsers and servers are a [`Farm`], ordinary nodes by the hundred a [`Crowd`].

mod artefacts;
mod bidi;
mod browser;
pub mod crowd;
mod evil;
mod farm;
pub mod faults;
pub mod idle;
mod instrument;
pub mod line;
pub mod nat;
mod network;
mod page;
mod phone;
mod process;
mod scratch;
pub mod turning;
mod wait;

pub use browser::{Browser, Kind};
pub use crowd::{Crowd, Ordinary, Standing};
pub use evil::Lie;
pub use farm::{Farm, Member, Place};
pub use instrument::{Heard, Instrument, Stats};
pub use network::{EvilNode, Network, SuperNode, readable, relay_node, start_node};
pub use page::{Page, unique};
pub use phone::{Phone, Place as PhonePlace};
pub use process::Process;
pub use scratch::Scratch;
pub use wait::{PATIENCE, turn, until};
