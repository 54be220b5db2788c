use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use sip::{Peer, Transport};
use tokio::sync::mpsc;

use super::connections::{Arrival, Counted, QUEUE, end};
use crate::outlet::{Drain, outlet};

/// How WebSockets of programs outside come to the SIP server (RFC 7118): whoever accepts them brings them here.
#[derive(Debug, Clone)]
pub(crate) struct WebSockets {
    pub(super) arrivals: mpsc::Sender<Arrival>,
    pub(super) next: Arc<AtomicU64>,
    pub(super) count: Arc<AtomicUsize>,
}

/// One of them.
pub(crate) struct Foreign {
    peer: Peer,
    /// Takes what comes on it.
    pub(crate) arrivals: mpsc::Sender<Arrival>,
    _counted: Counted,
}

impl WebSockets {
    /// Brings one in, and gives what is to be sent on it; nothing, if there are too many.
    pub(crate) async fn open(
        &self,
        address: SocketAddr,
        secure: bool,
    ) -> Option<(Foreign, Drain<Vec<u8>>)> {
        let peer = Peer {
            transport: if secure {
                Transport::Wss
            } else {
                Transport::Ws
            },
            address,
            connection: self.next.fetch_add(1, Ordering::Relaxed),
        };
        let counted = Counted::new(&self.count)?;
        let (outlet, drain) = outlet(QUEUE);
        let opened = Arrival::Opened { peer, outlet };
        self.arrivals.send(opened).await.ok()?;
        let foreign = Foreign {
            peer,
            arrivals: self.arrivals.clone(),
            _counted: counted,
        };
        Some((foreign, drain))
    }
}

impl Foreign {
    /// What the server is told of a message. Keep-alives are none.
    pub(crate) fn message(&self, message: Vec<u8>) -> Option<Arrival> {
        let source = self.peer;
        let empty = message.iter().all(u8::is_ascii_whitespace);
        (!empty).then_some(Arrival::Message { source, message })
    }

    /// It has ended.
    pub(crate) async fn close(self, drain: Drain<Vec<u8>>) {
        end(self.peer, drain, self.arrivals).await;
    }
}
