use core::cell::Cell;
use core::time::Duration;

use machine::{Instant, WallClock};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
}

/// The driver's clock.
///
/// `performance.now()` stands still while some devices sleep, and `Date.now()` jumps when the date is set. Time here
/// goes on by whichever of the two went further, so that it never goes back and never misses a night.
#[derive(Debug)]
pub(crate) struct Clock {
    started: f64,
    date: Cell<f64>,
    performance: Cell<f64>,
    elapsed: Cell<f64>,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let date = js_sys::Date::now();
        Self {
            started: date,
            date: Cell::new(date),
            performance: Cell::new(performance_now()),
            elapsed: Cell::new(0.0),
        }
    }

    pub(crate) fn now(&self) -> Instant {
        let (date, performance) = (js_sys::Date::now(), performance_now());
        let step = (date - self.date.replace(date))
            .max(performance - self.performance.replace(performance));
        let elapsed = self.elapsed.get() + step.max(0.0);
        self.elapsed.set(elapsed);
        Instant::new(Duration::from_micros((elapsed * 1_000.0) as u64))
    }

    pub(crate) fn wall(&self) -> WallClock {
        WallClock::new(self.started as u64)
    }
}
