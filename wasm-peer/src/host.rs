use wasm_bindgen::prelude::*;
use web_sys::WebSocket;

#[wasm_bindgen]
extern "C" {
    /// What does for a peer what only JavaScript can, an object of `js/host.js`. Its methods throw nothing.
    ///
    /// They take plain numbers, texts and bytes: objects, promises and callbacks handled in Rust would weigh as much as
    /// half of SIP.
    pub type Host;

    /// The date at the start, in milliseconds since 1970.
    #[wasm_bindgen(method, getter)]
    pub(crate) fn started(this: &Host) -> f64;
    /// Milliseconds since the start.
    #[wasm_bindgen(method)]
    pub(crate) fn now(this: &Host) -> f64;
    /// Fills `bytes` from the browser's entropy.
    #[wasm_bindgen(method)]
    pub(crate) fn random(this: &Host, bytes: &mut [u8]);
    /// Has `due` called after so many milliseconds instead of when it was asked for before; never, if negative.
    #[wasm_bindgen(method)]
    pub(crate) fn wake(this: &Host, delay: f64);

    /// Opens a WebSocket whose events are reported as the link's; none if the address is none.
    #[wasm_bindgen(method)]
    pub(crate) fn dial(this: &Host, link: f64, url: &str) -> Option<WebSocket>;
    /// Sends a binary message on a socket that is open.
    #[wasm_bindgen(method)]
    pub(crate) fn frame(this: &Host, socket: &WebSocket, bytes: &[u8]);
    /// Sends a text message on a socket that is open.
    #[wasm_bindgen(method)]
    pub(crate) fn text(this: &Host, socket: &WebSocket, text: &str);
    /// Closes a socket, which reports nothing more.
    #[wasm_bindgen(method, js_name = hangUp)]
    pub(crate) fn hang_up(this: &Host, socket: &WebSocket);
    /// Reports nothing from here on.
    #[wasm_bindgen(method)]
    pub(crate) fn close(this: &Host);

    /// Signs with the user's key; `signed` follows.
    #[wasm_bindgen(method)]
    pub(crate) fn sign(this: &Host, job: f64, message: &[u8]);
    /// Checks a signature, r and s side by side, by a key, an uncompressed point; `verified` follows.
    #[wasm_bindgen(method)]
    pub(crate) fn verify(this: &Host, job: f64, key: &[u8], signature: &[u8], message: &[u8]);

    /// Adds a text to the event that follows.
    #[wasm_bindgen(method)]
    pub(crate) fn with(this: &Host, text: &str);
    /// Delivers an event with the texts added before; a call of 0 is none.
    #[wasm_bindgen(method)]
    pub(crate) fn event(this: &Host, kind: &str, call: f64, number: f64);
    /// Delivers a revocation list that the page is to keep.
    #[wasm_bindgen(method)]
    pub(crate) fn revocations(this: &Host, list: &[u8]);
}
