//! Associations of native ordinary nodes that need no HTTP: over QUIC, and over TLS on TCP.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use p2psip::{LinkId, SuperNodeInput};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::driver::Arrival;
use crate::framed::{self, Arrived};
use crate::outlet::outlet;

/// An ordinary node says something every few seconds; one that is silent for this long is gone.
const SILENCE: Duration = Duration::from_secs(25);
/// Messages that may wait for an ordinary node that reads slowly.
const QUEUE: usize = 256;

/// Where associations are told of.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub(crate) arrivals: mpsc::Sender<Arrival>,
    pub(crate) numbers: Arc<AtomicU64>,
    /// Whether users reach this node by TLS as a rule: what its SIP addresses say.
    pub(crate) secure: bool,
}

impl Door {
    /// Serves one association until either side ends it.
    pub(crate) async fn serve(
        &self,
        mut receive: impl AsyncRead + Unpin,
        mut send: impl AsyncWrite + Unpin,
    ) {
        let link = LinkId(self.numbers.fetch_add(1, Ordering::Relaxed));
        let (outlet, mut drain) = outlet(QUEUE);
        let cut = drain.cutting();
        let opened = Arrival::Associated {
            link,
            secure: self.secure,
            outlet,
        };
        if self.arrivals.send(opened).await.is_err() {
            return;
        }
        tokio::select! {
            () = self.receive(link, &mut receive) => {}
            () = framed::pour(&mut send, &mut drain) => {}
            () = cut => {}
        }
        let closed = Arrival::Fact(SuperNodeInput::Closed { link });
        let _ = self.arrivals.send(closed).await;
    }

    async fn receive(&self, link: LinkId, stream: &mut (impl AsyncRead + Unpin)) {
        while let Ok(Ok(Some(arrived))) = timeout(SILENCE, framed::read(stream)).await {
            let fact = match arrived {
                Arrived::Frame(bytes) => SuperNodeInput::Frame { link, bytes },
                Arrived::Text(text) => SuperNodeInput::Text { link, text },
            };
            if self.arrivals.send(Arrival::Fact(fact)).await.is_err() {
                return;
            }
        }
    }
}
