//! Super nodes on the local network, by multicast DNS and service discovery (RFC 6762, RFC 6763; draft §5.1).
//!
//! A super node offers the service `_partyline._udp` with the texts `overlay`, `node`, `ws` and `quic`. An answer is a hint
//! and nothing more: whoever answers there proves itself as everywhere.

use std::fmt;
use std::time::Duration;

use credential::{NodeId, OverlayId};
use mdns_sd::{ServiceDaemon, ServiceEvent, ServiceInfo};
use tokio::time::{Instant, timeout_at};

use crate::ordinary::Named;

const SERVICE: &str = "_partyline._udp.local.";
/// How long answers are waited for.
const LISTENING: Duration = Duration::from_millis(1_000);
/// Answers that are looked at, of whichever overlay.
const ANSWERS: usize = 256;
/// The longest text that is taken from an answer.
const LONGEST: usize = 255;

/// Looks for super nodes of an overlay, at most so many.
pub(crate) async fn look(overlay: OverlayId, most: usize) -> Vec<Named> {
    match ServiceDaemon::new() {
        Ok(daemon) => {
            let found = browse(&daemon, overlay, most, LISTENING).await;
            let _ = daemon.shutdown();
            found
        }
        Err(error) => {
            tracing::info!("the local network is not looked at: {error}");
            Vec::new()
        }
    }
}

async fn browse(
    daemon: &ServiceDaemon,
    overlay: OverlayId,
    most: usize,
    listening: Duration,
) -> Vec<Named> {
    let mut found: Vec<Named> = Vec::new();
    let Ok(answers) = daemon.browse(SERVICE) else {
        return found;
    };
    let end = Instant::now() + listening;
    for _ in 0..ANSWERS {
        let Ok(Ok(event)) = timeout_at(end, answers.recv_async()).await else {
            break;
        };
        let ServiceEvent::ServiceResolved(service) = event else {
            continue;
        };
        let text = |key: &str| service.txt_properties.get_property_val_str(key);
        if let Some(named) = read(overlay, text)
            && !found.contains(&named)
        {
            found.push(named);
        }
        if found.len() >= most {
            break;
        }
    }
    found
}

/// What an answer says, if it is of this overlay and in order.
fn read<'a>(overlay: OverlayId, text: impl Fn(&str) -> Option<&'a str>) -> Option<Named> {
    if text("overlay")?.parse() != Ok(overlay) {
        return None;
    }
    let (url, quic) = (text("ws")?, text("quic")?);
    let scheme = url.starts_with("wss://") || url.starts_with("ws://");
    if !scheme || url.len() > LONGEST || quic.len() > LONGEST {
        return None;
    }
    Some(Named {
        node: Some(text("node")?.parse().ok()?),
        url: url.to_owned(),
        quic: Some(quic.to_owned()),
    })
}

/// A super node's answers on the local network; they end with this value.
pub(crate) struct Offer(ServiceDaemon);

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Offer")
    }
}

impl Offer {
    /// Begins to answer.
    pub(crate) fn start(
        overlay: OverlayId,
        node: NodeId,
        ws: &str,
        quic: &str,
    ) -> Result<Self, mdns_sd::Error> {
        let daemon = ServiceDaemon::new()?;
        let (overlay, name) = (overlay.to_string(), node.to_string());
        let texts = [
            ("overlay", overlay.as_str()),
            ("node", name.as_str()),
            ("ws", ws),
            ("quic", quic),
        ];
        let port = quic
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok());
        let host = format!("{}.local.", &name[..16]);
        let service = ServiceInfo::new(
            SERVICE,
            &name,
            &host,
            "",
            port.unwrap_or_default(),
            &texts[..],
        )?;
        daemon.register(service.enable_addr_auto())?;
        Ok(Self(daemon))
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        let _ = self.0.shutdown();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OVERLAY: OverlayId = OverlayId([7; 16]);

    fn read_of(texts: &[(&str, &str)]) -> Option<Named> {
        read(OVERLAY, |key| {
            let found = texts.iter().find(|(name, _)| *name == key);
            found.map(|(_, value)| *value)
        })
    }

    #[test]
    fn a03_r087_an_answer_of_another_overlay_or_out_of_order_is_passed_over() {
        let (overlay, node) = (OVERLAY.to_string(), NodeId([1; 20]).to_string());
        let other = OverlayId([8; 16]).to_string();
        let long = format!("ws://{}", "a".repeat(300));
        let good = [
            ("overlay", overlay.as_str()),
            ("node", node.as_str()),
            ("ws", "wss://sn1.example/p2psip"),
            ("quic", "sn1.example:4433"),
        ];
        let named = read_of(&good).unwrap();
        assert_eq!(named.url, "wss://sn1.example/p2psip");
        assert_eq!(named.quic.as_deref(), Some("sn1.example:4433"));
        for (at, bad) in [
            (0, other.as_str()),
            (0, "nonsense"),
            (1, "nobody"),
            (2, "https://sn1.example/"),
            (2, long.as_str()),
        ] {
            let mut texts = good;
            texts[at].1 = bad;
            assert_eq!(read_of(&texts), None, "{texts:?}");
        }
        assert_eq!(read_of(&good[..3]), None);
    }
}
