//! The queue between the driver and the writer of one connection.
//!
//! It is bounded, because a peer that does not read must not fill this node's memory: when it is full, the
//! connection is cut.

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

/// The driver's end.
#[derive(Debug)]
pub(crate) struct Outlet<T> {
    queue: mpsc::Sender<T>,
    cut: oneshot::Sender<()>,
}

/// The writer's end.
#[derive(Debug)]
pub(crate) struct Drain<T> {
    queue: mpsc::Receiver<T>,
    cut: Option<oneshot::Receiver<()>>,
}

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stuck {
    /// The other end reads too slowly.
    Full,
    /// The connection has ended by itself.
    Gone,
}

/// Makes a queue for `length` messages.
pub(crate) fn outlet<T>(length: usize) -> (Outlet<T>, Drain<T>) {
    let (sender, queue) = mpsc::channel(length);
    let (cut, end) = oneshot::channel();
    let drain = Drain {
        queue,
        cut: Some(end),
    };
    (Outlet { queue: sender, cut }, drain)
}

impl<T> Outlet<T> {
    /// Appends a message.
    pub(crate) fn send(&self, message: T) -> Result<(), Stuck> {
        self.queue.try_send(message).map_err(|error| match error {
            TrySendError::Full(_) => Stuck::Full,
            TrySendError::Closed(_) => Stuck::Gone,
        })
    }

    /// Ends the connection at once. Dropping the outlet ends it after what was sent.
    pub(crate) fn cut(self) {
        let _ = self.cut.send(());
    }
}

impl<T> Drain<T> {
    /// Takes the next message; `None` when the connection shall end.
    pub(crate) async fn next(&mut self) -> Option<T> {
        self.queue.recv().await
    }

    /// Takes what was sent and not read, at the end.
    pub(crate) fn left(&mut self) -> Vec<T> {
        self.queue.close();
        core::iter::from_fn(|| self.queue.try_recv().ok()).collect()
    }

    /// Takes out the part that resolves when the connection shall end at once, and never otherwise.
    pub(crate) fn cutting(&mut self) -> impl Future<Output = ()> + Send + use<T> {
        let cut = self.cut.take();
        async move {
            if let Some(cut) = cut
                && cut.await.is_ok()
            {
                return;
            }
            std::future::pending().await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_sent_before_the_end_is_still_read() {
        let (outlet, mut drain) = outlet(2);
        outlet.send(1).unwrap();
        outlet.send(2).unwrap();
        assert_eq!(outlet.send(3), Err(Stuck::Full));
        drop(outlet);
        assert_eq!(drain.next().await, Some(1));
        assert_eq!(drain.next().await, Some(2));
        assert_eq!(drain.next().await, None);
    }

    #[test]
    fn who_has_gone_does_not_read_slowly() {
        let (outlet, drain) = outlet(1);
        drop(drain);
        assert_eq!(outlet.send(1), Err(Stuck::Gone));
    }

    #[tokio::test]
    async fn cut_is_seen_at_once_and_a_plain_end_is_no_cut() {
        let (first, mut drain) = outlet::<u8>(2);
        let cutting = drain.cutting();
        first.cut();
        cutting.await;
        let (second, mut drain) = outlet::<u8>(2);
        let cutting = drain.cutting();
        drop(second);
        assert_eq!(drain.next().await, None);
        let waited = tokio::time::timeout(std::time::Duration::from_millis(20), cutting).await;
        assert!(waited.is_err());
    }
}
