use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::browser::{Answer, Browser};
use super::device::Device;
use crate::wire::Credential;
use crate::{Body, Clock, Limits, LoginConfig, LoginServer};

/// When the tests begin: 23 November 2026.
pub(crate) const START: u64 = 1_795_400_000_000;
/// A page's origin from the configuration.
pub(crate) const PAGE: &str = "https://sn1.example.org";
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A login server that listens.
pub(crate) struct Stage {
    pub(crate) server: Arc<LoginServer>,
    pub(crate) address: SocketAddr,
    pub(crate) data: TempDir,
    clock: Arc<AtomicU64>,
}

impl Stage {
    /// A server whose limits nobody meets.
    pub(crate) async fn new() -> Self {
        Self::with(|config| config.limits = Limits::development()).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut LoginConfig)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let data = TempDir::new().unwrap();
        let mut config = LoginConfig::new(
            data.path().join("login"),
            "example.org",
            format!("http://{address}"),
        );
        config.origins = vec![PAGE.into()];
        change(&mut config);
        let time = Arc::new(AtomicU64::new(START));
        let read = time.clone();
        let clock = Clock::new(move || read.load(Ordering::SeqCst));
        let server = Arc::new(LoginServer::open(config, clock).await.unwrap());
        let served = server.clone();
        tokio::spawn(serve(listener, move |request, peer| {
            let server = served.clone();
            async move { server.handle(request, peer).await }
        }));
        Self {
            server,
            address,
            data,
            clock: time,
        }
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.load(Ordering::SeqCst)
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.clock
            .fetch_add(time.as_millis() as u64, Ordering::SeqCst);
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser::new(self.address)
    }

    /// A browser that has just created this account.
    pub(crate) async fn account(&self, name: &str) -> Browser {
        let mut browser = self.browser();
        let form = browser.get("/create-account").await;
        let fields = [("name", name), ("password", PASSWORD), ("repeat", PASSWORD)];
        let answer = browser.submit("/create-account", &form, &fields).await;
        assert_eq!(
            (answer.status, answer.location()),
            (303, "/account"),
            "{}",
            answer.text
        );
        browser
    }

    /// What a browser that is signed in gets for a page's device.
    pub(crate) async fn credential(&self, browser: &mut Browser, device: &Device) -> Credential {
        let form = browser.get(&device.authorize()).await;
        let answer = browser.submit("/authorize", &form, &[]).await;
        let answer = self.redeem(browser, device, &answer.code()).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.document()
    }

    pub(crate) async fn redeem(
        &self,
        browser: &mut Browser,
        device: &Device,
        code: &str,
    ) -> Answer {
        let request = serde_json::json!({ "code": code, "code_verifier": device.verifier });
        browser.post("/token", Some(PAGE), &request).await
    }
}

/// Serves connections with what answers a request.
pub(crate) async fn serve<F>(
    listener: TcpListener,
    answer: impl Fn(Request<Incoming>, SocketAddr) -> F + Send + Sync + 'static,
) where
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let answer = Arc::new(answer);
    loop {
        let (stream, peer) = listener.accept().await.unwrap();
        let answer = answer.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let answer = answer(request, peer);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
