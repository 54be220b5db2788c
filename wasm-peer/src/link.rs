use p2psip::LinkId;
use web_sys::WebSocket;

use crate::host::Host;

/// The WebSockets of the node's links.
#[derive(Default)]
pub(crate) struct Links(Vec<(LinkId, WebSocket)>);

/// One message as the interface tells them apart: overlay frames are binary, SIP is text.
pub(crate) enum Message<'a> {
    Frame(&'a [u8]),
    Text(&'a str),
}

impl Links {
    pub(crate) fn add(&mut self, link: LinkId, socket: WebSocket) {
        self.0.push((link, socket));
    }

    /// Sends, unless the link is gone or too far behind to be of use; says whether it did.
    pub(crate) fn send(&self, link: LinkId, message: &Message<'_>, host: &Host) -> bool {
        let Some((_, socket)) = self.0.iter().find(|(known, _)| *known == link) else {
            return false;
        };
        let ready =
            socket.ready_state() == WebSocket::OPEN && socket.buffered_amount() < MAXIMUM_UNSENT;
        if ready {
            match message {
                Message::Frame(bytes) => host.frame(socket, bytes),
                Message::Text(text) => host.text(socket, text),
            }
        }
        ready
    }

    /// Closes a link; its socket reports nothing more.
    pub(crate) fn close(&mut self, link: LinkId, host: &Host) {
        if let Some(at) = self.0.iter().position(|(known, _)| *known == link) {
            host.hang_up(&self.0.swap_remove(at).1);
        }
    }

    pub(crate) fn close_all(&mut self, host: &Host) {
        for (_, socket) in self.0.drain(..) {
            host.hang_up(&socket);
        }
    }
}

/// Bytes that may wait in a socket.
const MAXIMUM_UNSENT: u32 = 1024 * 1024;
