use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::watch;

use super::OrdinaryStatus;
use super::membership::Member;
use crate::client::Client;
use crate::clock::Clock;
use crate::config::{Origin, SuperNode};
use crate::crypto::Key;
use crate::probe::{self, Found, Request};

/// An ordinary node that would be a super node.
#[derive(Debug, Clone)]
pub struct Applicant {
    pub(super) client: Client,
    pub(super) member: watch::Receiver<Member>,
    pub(super) status: watch::Receiver<OrdinaryStatus>,
}

impl Applicant {
    pub(crate) fn is_associated(&self) -> bool {
        self.status.borrow().associations > 0
    }

    /// Asks the super nodes that it is associated with, one after the other, to reach it. `None` if none of them tries.
    pub(crate) async fn ask(&self, config: &SuperNode, key: &Key) -> Option<Found> {
        let serving: Vec<_> = {
            let status = self.status.borrow();
            let others = status
                .serving
                .iter()
                .filter(|other| other.url != config.url.websocket());
            others
                .filter_map(|other| Origin::of_websocket(&other.url))
                .collect()
        };
        let request = self.request(config, key);
        for origin in serving {
            match self.client.post(&origin, "/probe", &request).await {
                Ok(found) => return Some(found),
                Err(error) => tracing::info!(%origin, "not probed: the super node {error}"),
            }
        }
        None
    }

    fn request(&self, config: &SuperNode, key: &Key) -> Request {
        let member = self.member.borrow().clone();
        let mut request = Request {
            certificate: STANDARD.encode(member.certificate.der()),
            public_key: STANDARD.encode(key.public().to_spki()),
            quic: config.quic_public(),
            url: config.url.to_string(),
            timestamp: Clock::start().wall(),
            signature: String::new(),
        };
        let text = probe::text(&member.anchor.overlay().to_string(), &request);
        request.signature = STANDARD.encode(member.key.sign(text.as_bytes()).0);
        request
    }
}
