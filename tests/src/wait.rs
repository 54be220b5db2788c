//! Waiting for something to become true, and for the turn to use the machine.

use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep};

/// How long a test waits where nothing states a deadline: long enough for a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

const PAUSE: Duration = Duration::from_millis(50);

/// One test at a time has browsers open.
static TURN: Semaphore = Semaphore::const_new(1);

/// Waits until no other test has browsers open; the turn ends when the permit is dropped.
///
/// # Panics
///
/// Never: the semaphore is not closed.
pub async fn turn() -> SemaphorePermit<'static> {
    TURN.acquire().await.expect("nobody closes the semaphore")
}

/// Asks `look` again and again until it finds something.
///
/// # Panics
///
/// When it has not found anything within `patience`; the message says for `what` it waited and what was seen last.
pub async fn until<T, S, F>(what: &str, patience: Duration, mut look: F) -> T
where
    S: std::fmt::Debug,
    F: AsyncFnMut() -> Result<T, S>,
{
    let start = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) if start.elapsed() > patience => {
                panic!("waited {patience:?} for {what}, but saw {seen:?}")
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}
