//! A virtual network in virtual time, for tests: latency, loss, cut links, dead and silent nodes.
//!
//! A [`Network`] drives any number of [`Host`]s, each of which wraps one machine. Connections between hosts are ordered
//! and reliable, as TCP and QUIC streams are; a lost packet is seen as a delay. Nothing depends on the real clock or on
//! the order of a hash map: the same seed and the same calls give the same [`trace`](Network::trace).
//!
//! ```
//! use machine::Instant;
//! use sim::{Action, ConnectionId, Fact, Host, Network};
//! use std::collections::VecDeque;
//!
//! /// Sends back what it receives.
//! #[derive(Default)]
//! struct Echo { heard: usize, actions: VecDeque<Action> }
//!
//! impl Host for Echo {
//!     fn handle(&mut self, fact: Fact, _now: Instant) {
//!         match fact {
//!             Fact::Received { connection, payload } if self.heard < 3 => {
//!                 self.heard += 1;
//!                 self.actions.push_back(Action::Send { connection, payload });
//!             }
//!             Fact::Opened { connection, token: Some(_) } => {
//!                 self.actions.push_back(Action::Send { connection, payload: b"hello".to_vec() });
//!             }
//!             _ => {}
//!         }
//!     }
//!     fn wake(&mut self, _now: Instant) {}
//!     fn poll_action(&mut self) -> Option<Action> { self.actions.pop_front() }
//!     fn poll_wake(&self) -> Option<Instant> { None }
//! }
//!
//! let mut network = Network::new([7; 32]);
//! let bob = network.add(Echo::default(), "bob:1");
//! let mut alice = Echo::default();
//! alice.actions.push_back(Action::Dial { token: 1, address: "bob:1".into() });
//! let alice = network.add(alice, "alice:1");
//! network.run_for(core::time::Duration::from_secs(1));
//! assert_eq!(network.host(alice).heard, 3);
//! assert_eq!(network.host(bob).heard, 3);
//! ```

mod network;

pub use network::{HostId, Network, Traffic};

use machine::Instant;

/// A connection between two hosts; both ends know it by the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// What happens to a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A connection stands.
    Opened {
        /// The connection.
        connection: ConnectionId,
        /// The token of the dial, at the end that dialled.
        token: Option<u64>,
    },
    /// Nobody is at the address that was dialled.
    Refused {
        /// The token of the dial.
        token: u64,
    },
    /// Something arrived.
    Received {
        /// The connection.
        connection: ConnectionId,
        /// The message, whole.
        payload: Vec<u8>,
    },
    /// The other end closed the connection, or is dead.
    Closed {
        /// The connection.
        connection: ConnectionId,
    },
}

/// What a host does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Opens a connection.
    Dial {
        /// Comes back in the answer.
        token: u64,
        /// An address that some host was added under.
        address: String,
    },
    /// Sends a message.
    Send {
        /// The connection.
        connection: ConnectionId,
        /// The message.
        payload: Vec<u8>,
    },
    /// Closes a connection, after what was sent on it.
    Close {
        /// The connection.
        connection: ConnectionId,
    },
}

/// A machine with its driver, as the network sees it.
pub trait Host {
    /// Takes in what happened.
    fn handle(&mut self, fact: Fact, now: Instant);
    /// Does what has fallen due.
    fn wake(&mut self, now: Instant);
    /// What it does next; drained after every call.
    fn poll_action(&mut self) -> Option<Action>;
    /// When it wants to be woken.
    fn poll_wake(&self) -> Option<Instant>;
}
