//! The thread that a super node's machine and its links to other super nodes live on.
//!
//! A message of another super node passes from the socket to its connection, its stream, the machine and out again the
//! same way. Were each of these steps taken by whichever thread is free, waking threads would cost more than the steps.
//! Ordinary nodes' TLS, which is work, is done by the threads of the caller's runtime.

use std::io::Result;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A thread with a runtime of its own. It ends with this value, and with it all that was started on it.
#[derive(Debug)]
pub(crate) struct Thread {
    runtime: Handle,
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl Thread {
    /// Starts it.
    pub(crate) fn start() -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        std::thread::Builder::new()
            .name("ring".to_owned())
            .spawn(move || {
                let _ = runtime.block_on(stopped);
                // Closes what is still open.
                runtime.shutdown_background();
                let _ = end.send(());
            })?;
        Ok(Self {
            runtime: handle,
            stop,
            ended,
        })
    }

    /// Where to start tasks.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Ends it, and waits until everything on it is closed.
    pub(crate) async fn end(self) {
        drop(self.stop);
        let _ = self.ended.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[tokio::test]
    async fn what_lives_on_it_is_closed_when_it_has_ended() {
        let thread = Thread::start().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        thread.runtime().spawn(async move {
            let _held = socket;
            std::future::pending::<()>().await;
        });
        assert!(UdpSocket::bind(address).is_err());
        thread.end().await;
        assert!(UdpSocket::bind(address).is_ok());
    }
}
