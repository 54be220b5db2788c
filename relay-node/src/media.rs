//! The media bridge: the sound of calls between pages and phones.

mod bridge;
mod lite;
mod secured;
mod session;

pub(crate) use secured::Keys;
pub(crate) use session::{Opened, Session};
