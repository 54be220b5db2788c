//! The browser's node: drives a [`p2psip::Peer`] through a host, which is JavaScript.
//!
//! [`Peer`] is what JavaScript sees; it decides nothing. Everything here works in a worker too: there is no `window`,
//! and media stays with whoever holds the calls; descriptions and candidates cross as text.
//!
//! ```text
//!  js/*.js --intents--> Peer --> Driver --owns--> p2psip::Peer
//!     ^                            |  outputs: dial, send, sign, verify, event
//!     |                            v  inputs:  opened, frame, text, closed, signed, verified, due
//!     +---- events, objects --- js/host.js: WebSocket, WebCrypto, clock, timer
//! ```

mod driver;
mod event;
mod host;
mod link;
#[cfg(debug_assertions)]
mod panic;
mod peer;

pub use host::Host;
pub use peer::Peer;

/// Takes a sixth of the code of the standard library's.
#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();
