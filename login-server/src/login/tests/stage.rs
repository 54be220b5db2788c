use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::browser::{Answer, Browser};
use super::device::Device;
use crate::wire::Credential;
use crate::{Clock, Limits, LoginConfig, LoginServer};

/// When the tests begin: 23 November 2026.
pub(super) const START: u64 = 1_795_400_000_000;
/// A page's origin from the configuration.
pub(super) const PAGE: &str = "https://sn1.example.org";
pub(super) const PASSWORD: &str = "correct horse battery";

/// A login server that listens.
pub(super) struct Stage {
    pub(super) server: Arc<LoginServer>,
    pub(super) address: SocketAddr,
    pub(super) data: TempDir,
    clock: Arc<AtomicU64>,
}

impl Stage {
    /// A server whose limits nobody meets.
    pub(super) async fn new() -> Self {
        Self::with(|config| config.limits = Limits::development()).await
    }

    pub(super) async fn with(change: impl FnOnce(&mut LoginConfig)) -> Self {
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
        tokio::spawn(serve(listener, server.clone()));
        Self {
            server,
            address,
            data,
            clock: time,
        }
    }

    pub(super) fn now(&self) -> u64 {
        self.clock.load(Ordering::SeqCst)
    }

    pub(super) fn pass(&self, time: Duration) {
        self.clock
            .fetch_add(time.as_millis() as u64, Ordering::SeqCst);
    }

    pub(super) fn browser(&self) -> Browser {
        Browser::new(self.address)
    }

    /// A browser that has just created this account.
    pub(super) async fn account(&self, name: &str) -> Browser {
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
    pub(super) async fn credential(&self, browser: &mut Browser, device: &Device) -> Credential {
        let form = browser.get(&device.authorize()).await;
        let answer = browser.submit("/authorize", &form, &[]).await;
        let answer = self.redeem(browser, device, &answer.code()).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.document()
    }

    pub(super) async fn redeem(
        &self,
        browser: &mut Browser,
        device: &Device,
        code: &str,
    ) -> Answer {
        let request = serde_json::json!({ "code": code, "code_verifier": device.verifier });
        browser.post("/token", Some(PAGE), &request).await
    }
}

async fn serve(listener: TcpListener, server: Arc<LoginServer>) {
    loop {
        let (stream, peer) = listener.accept().await.unwrap();
        let server = server.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let server = server.clone();
                async move { Ok::<_, Infallible>(server.handle(request, peer).await) }
            });
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
