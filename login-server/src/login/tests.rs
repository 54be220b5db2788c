//! The server over real connections on loopback, against a database in a temporary directory, on a clock that the
//! tests turn.

mod accounts;
mod authorization;
mod browser;
mod device;
mod durable;
mod enrolment;
mod hostile;
mod pages;
mod renewal;
mod stage;

pub(crate) use browser::Browser;
pub(crate) use device::Device;
pub(crate) use stage::{START, Stage, serve};
