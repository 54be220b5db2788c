use core::cell::Cell;

use machine::Instant;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(handler: &js_sys::Function, delay: f64) -> JsValue;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(timer: &JsValue);
}

/// One timer that is set anew whenever the machine's next time-out changes.
pub(crate) struct Timer {
    fire: Closure<dyn FnMut()>,
    handle: Cell<Option<JsValue>>,
    due: Cell<Option<Instant>>,
}

impl Timer {
    pub(crate) fn new(fire: impl FnMut() + 'static) -> Self {
        Self {
            fire: Closure::new(fire),
            handle: Cell::new(None),
            due: Cell::new(None),
        }
    }

    /// Fires at `due`, or not at all.
    pub(crate) fn set(&self, due: Option<Instant>, now: Instant) {
        if due == self.due.get() {
            return;
        }
        self.clear();
        let Some(at) = due else { return };
        self.due.set(due);
        // Round up: a timer that fires early would only be set again.
        let wait = at - now;
        let delay =
            wait.as_secs() as f64 * 1_000.0 + f64::from(wait.subsec_micros().div_ceil(1_000));
        let handle = set_timeout(self.fire.as_ref().unchecked_ref(), delay.min(LONGEST));
        self.handle.set(Some(handle));
    }

    /// To be called when it has fired.
    pub(crate) fn fired(&self) {
        self.due.set(None);
        self.handle.set(None);
    }

    fn clear(&self) {
        self.due.set(None);
        if let Some(handle) = self.handle.take() {
            clear_timeout(&handle);
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Milliseconds; browsers treat more than 2^31 - 1 as zero.
const LONGEST: f64 = 2_147_483_647.0;
