//! What the tests of this crate share: an overlay with a real login server, and identities in it.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use credential::{Certificate, NodeId};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use login_server::wire::{Credential, EnrolRequest, Enrolment, GuestRequest};
use login_server::{Lifetimes, Limits, LoginConfig, LoginServer};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::Clock;
use crate::crypto::Key;
use crate::identity::{Identity, Vault};
use crate::login::server_clock;

pub(crate) struct Overlay {
    pub(crate) server: LoginServer,
    pub(crate) clock: Clock,
    directory: tempfile::TempDir,
}

impl Overlay {
    pub(crate) async fn new() -> Self {
        let clock = Clock::start();
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("login");
        let mut config = LoginConfig::new(data, "example.org", "http://127.0.0.1:9");
        config.limits = Limits::development();
        config.lifetimes = Lifetimes::default();
        let server = LoginServer::open(config, server_clock(clock))
            .await
            .unwrap();
        Self {
            server,
            clock,
            directory,
        }
    }

    /// A super node, enrolled by a token of its own.
    pub(crate) async fn super_node(&self) -> Identity {
        let key = Key::generate();
        let enrolment = self.enrolment(&key).await;
        let vault = self.directory.path().join(&enrolment.node);
        Vault::open(&vault)
            .unwrap()
            .keep(&key, &enrolment, self.clock.wall())
            .unwrap()
    }

    pub(crate) async fn enrolment(&self, key: &Key) -> Enrolment {
        let hour = Duration::from_secs(3600);
        let request = EnrolRequest {
            token: self.server.enrolment_token(1, hour).await.unwrap(),
            public_key: STANDARD.encode(key.public().to_spki()),
            names: vec!["http://127.0.0.1:9".to_owned()],
            quic: "127.0.0.1:9".to_owned(),
        };
        self.post("/enrol", &request).await
    }

    /// A super node's identity with a guest's certificate in the place of its own.
    pub(crate) async fn user_as_super_node(&self) -> Identity {
        let mut identity = self.super_node().await;
        let request = GuestRequest {
            public_key: STANDARD.encode(identity.key.public().to_spki()),
            instance: "00010203-0405-0607-0809-0a0b0c0d0e0f".to_owned(),
            name: None,
        };
        let credential: Credential = self.post("/guest", &request).await;
        let der = STANDARD.decode(credential.certificate).unwrap();
        identity.certificate = Certificate::read(&der).unwrap();
        identity
    }

    pub(crate) async fn revoke(&self, node: NodeId) -> credential::RevocationList {
        assert!(self.server.revoke_super_node(node).await.unwrap());
        self.server.revocations().await.unwrap()
    }

    async fn post<A: DeserializeOwned>(&self, path: &str, question: &impl Serialize) -> A {
        let body = Full::new(Bytes::from(serde_json::to_vec(question).unwrap()));
        let request = Request::post(path)
            .header("host", "127.0.0.1:9")
            .header("content-type", "application/json")
            .body(body)
            .unwrap();
        let from = SocketAddr::from(([127, 0, 0, 1], 9));
        let response = self.server.handle(request, from).await;
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(
            status.is_success(),
            "{path}: {}",
            String::from_utf8_lossy(&body)
        );
        serde_json::from_slice(&body).unwrap()
    }
}
