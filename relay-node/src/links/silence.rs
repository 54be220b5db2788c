use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use quinn::Connection;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// Who does not acknowledge what was sent within this time is gone.
const SILENCE: Duration = Duration::from_millis(2_500);
const LOOK: Duration = Duration::from_millis(500);

/// Sees whether the other end acknowledges what it is sent.
///
/// QUIC's own idle time-out would have to be as short as this, and every link would cost keep-alives. So links on which
/// nothing is said are left alone, and a dead one is noticed when it is used.
pub(super) struct Watch<'a> {
    connection: &'a Connection,
    /// How many datagrams had come when the first message without an answer was sent, and when that was.
    first: Mutex<Option<(u64, Instant)>>,
    spoke: Notify,
}

impl<'a> Watch<'a> {
    pub(super) fn new(connection: &'a Connection) -> Self {
        Self {
            connection,
            first: Mutex::new(None),
            spoke: Notify::new(),
        }
    }

    fn heard(&self) -> u64 {
        self.connection.stats().udp_rx.datagrams
    }

    /// A message is about to be sent.
    pub(super) fn speaks(&self) {
        let heard = self.heard();
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none_or(|(before, _)| before < heard) {
            *first = Some((heard, Instant::now()));
        }
        drop(first);
        self.spoke.notify_one();
    }

    /// Resolves when the other end has been silent for too long after a message.
    pub(super) async fn unanswered(&self) {
        loop {
            self.spoke.notified().await;
            while let Some(since) = self.waits() {
                if since >= SILENCE {
                    return;
                }
                sleep(LOOK).await;
            }
        }
    }

    /// How long a message has waited for an answer.
    fn waits(&self) -> Option<Duration> {
        let heard = self.heard();
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, at) = (*first)?;
        if before < heard {
            *first = None;
            return None;
        }
        Some(at.elapsed())
    }
}
