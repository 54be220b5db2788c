//! TLS handshakes that are going on. They are the dearest thing that a stranger can ask for, so when thousands come at once
//! most are turned away before they cost anything, and those let in are done in time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

/// How many there may be at a time where there is little else to do, and where there is too much.
const MOST: usize = 64;
const FEWEST: usize = 4;
/// At this load, in percent, there is too much to do: the overlay's machine turns new associations away, and a handshake
/// for one that is turned away was for nothing.
const FULL: usize = 50;
/// Who has taken longer makes room for others: whoever stalls keeps nobody out.
const SLOW: Duration = Duration::from_secs(1);

/// Those that are going on, oldest first.
#[derive(Debug, Default)]
pub(super) struct Handshakes(Mutex<Going>);

#[derive(Debug, Default)]
struct Going {
    last: u64,
    places: BTreeMap<u64, (Instant, oneshot::Sender<()>)>,
}

/// Room for one handshake, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    handshakes: Arc<Handshakes>,
    number: u64,
    lost: oneshot::Receiver<()>,
}

impl Handshakes {
    /// Gives room for one, if there is some.
    pub(super) fn enter(self: &Arc<Self>, load: u8, now: Instant) -> Option<Place> {
        let mut going = self.lock();
        if going.places.len() >= most(load) {
            let oldest = going.places.first_entry()?;
            if now - oldest.get().0 < SLOW {
                return None;
            }
            oldest.remove();
        }
        going.last += 1;
        let number = going.last;
        let (lose, lost) = oneshot::channel();
        going.places.insert(number, (now, lose));
        Some(Place {
            handshakes: Arc::clone(self),
            number,
            lost,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Going> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many there may be at this load.
fn most(load: u8) -> usize {
    let left = FULL.saturating_sub(load.into());
    FEWEST + (MOST - FEWEST) * left / FULL
}

impl Place {
    /// Resolves when somebody else needs the place.
    pub(super) async fn lost(&mut self) {
        let _ = (&mut self.lost).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.handshakes.lock().places.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a44_handshakes_are_bounded_and_those_that_stall_make_room() {
        let (handshakes, now) = (Arc::<Handshakes>::default(), Instant::now());
        let mut places: Vec<_> = (0..MOST).filter_map(|_| handshakes.enter(0, now)).collect();
        assert_eq!(places.len(), MOST);
        assert!(handshakes.enter(0, now).is_none(), "there is no room");
        drop(places.pop());
        places.push(handshakes.enter(0, now).unwrap());
        let later = handshakes.enter(0, now + SLOW);
        assert!(later.is_some(), "the oldest has had its time");
        places[0].lost().await;
        assert!(places[1].lost.try_recv().is_err(), "the others go on");
        assert_eq!(handshakes.lock().places.len(), MOST);
    }

    #[tokio::test]
    async fn a_node_that_has_much_to_do_lets_few_in_at_a_time() {
        for (load, room) in [
            (0, MOST),
            (25, FEWEST + (MOST - FEWEST) / 2),
            (50, FEWEST),
            (100, FEWEST),
        ] {
            let (handshakes, now) = (Arc::<Handshakes>::default(), Instant::now());
            let places: Vec<_> = (0..MOST)
                .filter_map(|_| handshakes.enter(load, now))
                .collect();
            assert_eq!(places.len(), room, "at a load of {load} %");
        }
    }
}
