//! The contract that every state machine of Partyline shares.
//!
//! A [`Machine`] turns inputs (facts from outside) into outputs (requests to its driver) and does no I/O.
//! It reads no clock, opens no socket and draws no randomness of its own: a run is a function of its seed and
//! of what the driver fed it. The driver's loop is always the same:
//!
//! ```
//! use machine::{Instant, Machine, Outbox};
//! use core::time::Duration;
//!
//! /// Answers every number with the number, one second later.
//! struct Echo { pending: Option<(Instant, u32)>, outbox: Outbox<u32> }
//!
//! impl Machine for Echo {
//!     type Input = u32;
//!     type Output = u32;
//!     fn handle_input(&mut self, input: u32, now: Instant) {
//!         self.pending = Some((now + Duration::from_secs(1), input));
//!     }
//!     fn handle_timeout(&mut self, now: Instant) {
//!         if let Some((due, number)) = self.pending && due <= now {
//!             self.pending = None;
//!             self.outbox.push(number);
//!         }
//!     }
//!     fn poll_output(&mut self) -> Option<u32> { self.outbox.pop() }
//!     fn poll_timeout(&self) -> Option<Instant> { self.pending.map(|(due, _)| due) }
//! }
//!
//! let mut echo = Echo { pending: None, outbox: Outbox::default() };
//! let now = Instant::EPOCH;
//! echo.handle_input(7, now);
//! assert_eq!(echo.poll_output(), None);            // drained to None after every &mut call
//! let due = echo.poll_timeout().expect("an answer is pending");
//! echo.handle_timeout(due);                         // may come late, never early
//! assert_eq!(echo.poll_output(), Some(7));
//! ```
#![no_std]

extern crate alloc;

mod map;
mod outbox;
mod rng;
mod time;

pub use map::{Map, sort_by_key};
pub use outbox::Outbox;
pub use rng::Rng;
pub use time::{Instant, WallClock};

/// A protocol state machine that does no I/O.
///
/// Only the big machines implement the trait (super node, ordinary node, user agent, proxy, TURN server). Their
/// parts (a transaction, a timer) are structs whose methods take `now` and an [`Outbox`].
pub trait Machine {
    /// Facts from outside: a frame arrived, a link went down, a signature was checked.
    type Input;
    /// Requests to the driver: send, dial, sign, verify; and events for whoever uses the machine.
    type Output;

    /// Takes in one fact. Infallible: bad input is absorbed and becomes an event that names it.
    fn handle_input(&mut self, input: Self::Input, now: Instant);

    /// Does what has fallen due. May come late (a throttled tab, a laptop that slept), and may come early, when
    /// it does nothing.
    fn handle_timeout(&mut self, now: Instant);

    /// Takes the next output. The driver drains it to `None` after every call that takes `&mut self`.
    fn poll_output(&mut self) -> Option<Self::Output>;

    /// Says when [`handle_timeout`](Self::handle_timeout) is next due.
    fn poll_timeout(&self) -> Option<Instant>;
}
