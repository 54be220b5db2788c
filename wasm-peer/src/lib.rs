//! The browser's node: drives a [`p2psip::Peer`] with WebSockets, WebCrypto and timers.
//!
//! [`Peer`] is what JavaScript sees; it decides nothing. Everything here works in a worker too: there is no `window`,
//! and media stays with whoever holds the calls; descriptions and candidates cross as text.
//!
//! ```text
//!  js/*.js --intents--> Peer --> Driver --owns--> p2psip::Peer
//!     ^                            |  outputs: dial, send, sign, verify, event
//!     +------ events, objects -----+  inputs:  opened, frame, text, closed, signed, verified, time
//! ```

mod clock;
mod crypto;
mod driver;
mod event;
mod link;
mod panic;
mod peer;
mod timer;

pub use peer::{Contact, Peer, Settings};
