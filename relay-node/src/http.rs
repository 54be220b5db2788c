//! The HTTP(S) server that all roles share: connections in, bounded in number, size and time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::framed;

mod handshakes;
mod origins;
mod page;
mod site;
mod websocket;

use handshakes::{Handshakes, Place};
pub(crate) use origins::Origins;
pub use page::Page;
pub(crate) use site::Site;

/// Body of every answer.
pub(crate) type Body = Full<Bytes>;

const CONNECTIONS: usize = 16_384;
const HANDSHAKE: Duration = Duration::from_secs(10);
const HEADERS: Duration = Duration::from_secs(10);
const HEADER_BYTES: usize = 16 << 10;
const HEADER_COUNT: usize = 64;

/// What answers the requests of one address.
pub(crate) trait Service: Send + Sync + 'static {
    /// Answers one request that came from `from`.
    fn answer(
        &self,
        request: Request<Incoming>,
        from: SocketAddr,
    ) -> impl Future<Output = Response<Body>> + Send;

    /// How much there is to do, in percent: the more, the fewer strangers are let in at a time.
    fn load(&self) -> u8 {
        0
    }

    /// Serves an ordinary node that wants no HTTP on this connection. Who serves none ends it.
    fn associate(&self, _: TlsStream<TcpStream>) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// Accepts connections until the process ends.
pub(crate) async fn serve<S: Service>(
    listener: TcpListener,
    tls: Option<watch::Receiver<Arc<ServerConfig>>>,
    service: Arc<S>,
) {
    let open = Arc::new(Semaphore::new(CONNECTIONS));
    let handshakes = Arc::new(Handshakes::default());
    loop {
        let Ok(permit) = open.clone().acquire_owned().await else {
            return;
        };
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!("a connection could not be accepted: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let guarded = match &tls {
            None => None,
            // Before anything is spent on it: whoever is sent away comes again.
            Some(tls) => match handshakes.enter(service.load(), Instant::now()) {
                Some(place) => Some((TlsAcceptor::from(tls.borrow().clone()), place)),
                None => continue,
            },
        };
        let service = service.clone();
        tokio::spawn(async move {
            connection(stream, from, guarded, service).await;
            drop(permit);
        });
    }
}

async fn connection<S: Service>(
    stream: TcpStream,
    from: SocketAddr,
    guarded: Option<(TlsAcceptor, Place)>,
    service: Arc<S>,
) {
    let _ = stream.set_nodelay(true);
    let Some((acceptor, mut place)) = guarded else {
        return exchange(stream, from, service).await;
    };
    let accepted = tokio::select! {
        accepted = timeout(HANDSHAKE, acceptor.accept(stream)) => accepted,
        () = place.lost() => return,
    };
    drop(place);
    match accepted {
        Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(framed::ALPN) => {
            service.associate(stream).await;
        }
        Ok(Ok(stream)) => exchange(stream, from, service).await,
        Ok(Err(error)) => tracing::debug!(%from, "TLS: {error}"),
        Err(_) => tracing::debug!(%from, "TLS handshake took too long"),
    }
}

async fn exchange<S: Service>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    from: SocketAddr,
    service: Arc<S>,
) {
    let answering = service_fn(|request| {
        let service = service.clone();
        async move { Ok::<_, std::convert::Infallible>(service.answer(request, from).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_buf_size(HEADER_BYTES)
        .max_headers(HEADER_COUNT)
        .serve_connection(TokioIo::new(stream), answering)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%from, "HTTP: {error}");
    }
}

#[cfg(test)]
mod tests;
