use js_sys::{ArrayBuffer, JsString, Uint8Array};
use p2psip::{Input, LinkId};
use wasm_bindgen::prelude::*;
use web_sys::{BinaryType, MessageEvent, WebSocket};

/// A WebSocket and its handlers; dropping it closes the socket and unhooks them.
pub(crate) struct Link {
    socket: WebSocket,
    _opened: Closure<dyn FnMut()>,
    _message: Closure<dyn FnMut(MessageEvent)>,
    _closed: Closure<dyn FnMut()>,
}

impl Link {
    /// Dials `url`; whatever happens on the link goes to `tell`. `None` if the browser won't even try.
    pub(crate) fn dial(
        id: LinkId,
        url: &str,
        tell: impl Fn(Input) + Clone + 'static,
    ) -> Option<Self> {
        let socket = WebSocket::new_with_str(url, SUBPROTOCOL).ok()?;
        socket.set_binary_type(BinaryType::Arraybuffer);
        let opened = {
            let (tell, socket) = (tell.clone(), socket.clone());
            Closure::<dyn FnMut()>::new(move || {
                // A server that chose no subprotocol is none of ours.
                if socket.protocol() == SUBPROTOCOL {
                    tell(Input::Opened { link: id });
                } else {
                    let _ = socket.close();
                }
            })
        };
        let message = {
            let tell = tell.clone();
            Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
                if let Some(input) = input(id, &event.data()) {
                    tell(input);
                }
            })
        };
        let closed = Closure::<dyn FnMut()>::new(move || tell(Input::Closed { link: id }));
        socket.set_onopen(Some(opened.as_ref().unchecked_ref()));
        socket.set_onmessage(Some(message.as_ref().unchecked_ref()));
        socket.set_onclose(Some(closed.as_ref().unchecked_ref()));
        Some(Self {
            socket,
            _opened: opened,
            _message: message,
            _closed: closed,
        })
    }

    /// Sends a binary message; false if the link can't take it.
    pub(crate) fn frame(&self, bytes: &[u8]) -> bool {
        self.has_room() && self.socket.send_with_u8_array(bytes).is_ok()
    }

    /// Sends a text message; false if the link can't take it.
    pub(crate) fn text(&self, text: &str) -> bool {
        self.has_room() && self.socket.send_with_str(text).is_ok()
    }

    fn has_room(&self) -> bool {
        self.socket.buffered_amount() < UNSENT
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.socket.set_onopen(None);
        self.socket.set_onmessage(None);
        self.socket.set_onclose(None);
        let _ = self.socket.close();
    }
}

/// Reads a message; one beyond the size that any peer may send is dropped here, before it is copied.
fn input(link: LinkId, data: &JsValue) -> Option<Input> {
    if let Some(text) = data.dyn_ref::<JsString>() {
        (text.length() <= LARGEST).then(|| Input::Text {
            link,
            text: text.into(),
        })
    } else {
        let buffer = data.dyn_ref::<ArrayBuffer>()?;
        (buffer.byte_length() <= LARGEST).then(|| Input::Frame {
            link,
            bytes: Uint8Array::new(buffer).to_vec(),
        })
    }
}

const SUBPROTOCOL: &str = "p2psip.1";
/// Bytes (or UTF-16 units) of one message.
const LARGEST: u32 = 64 * 1024;
/// Bytes that may wait in a socket; a link that is further behind is as good as dead.
const UNSENT: u32 = 1024 * 1024;
