//! The super nodes that a node met, kept for its next start (draft §5.1): `super-nodes.json`.

use credential::NodeId;
use p2psip::Contact;
use serde::{Deserialize, Serialize};

use super::dial::{Dialer, Named};
use crate::identity::Vault;

const FILE: &str = "super-nodes.json";
/// Most that are kept.
const REMEMBERED: usize = 32;

/// What is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cache {
    /// Super nodes that one named, in the order in which it wants them tried; the first may be that one itself.
    #[serde(default)]
    pub(super) super_nodes: Vec<Entry>,
    /// The last one with which an association stood.
    #[serde(default)]
    pub(super) last: Option<Entry>,
}

/// One super node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    ws: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quic: Option<String>,
}

impl Entry {
    fn new(contact: &Contact, dialer: &Dialer) -> Self {
        Self {
            node: contact.node.map(|node| node.to_string()),
            ws: contact.url.clone(),
            quic: dialer.quic_of(&contact.url),
        }
    }

    fn named(&self) -> Named {
        Named {
            node: self
                .node
                .as_deref()
                .and_then(|node| node.parse::<NodeId>().ok()),
            url: self.ws.clone(),
            quic: self.quic.clone(),
        }
    }
}

impl Cache {
    /// Reads what was kept. A file that can't be read is as good as none.
    pub(super) fn read(vault: &Vault) -> Self {
        let read = vault.read(FILE).ok().flatten();
        let Some(text) = read else {
            return Self::default();
        };
        serde_json::from_slice(&text).unwrap_or_else(|error| {
            tracing::warn!("{FILE} is passed over: {error}");
            Self::default()
        })
    }

    /// Keeps the super nodes to try next time, and the one that serves.
    pub(super) fn keep(
        named: &[Contact],
        serving: Option<&Contact>,
        dialer: &Dialer,
        vault: &Vault,
    ) {
        let entry = |contact| Entry::new(contact, dialer);
        let cache = Self {
            super_nodes: named.iter().take(REMEMBERED).map(entry).collect(),
            last: serving.map(entry),
        };
        if cache == Self::read(vault) {
            return;
        }
        let Ok(text) = serde_json::to_vec_pretty(&cache) else {
            return;
        };
        if let Err(error) = vault.write(FILE, &text, 0o644) {
            tracing::warn!("super nodes not remembered: {error}");
        }
    }

    pub(super) fn cached(&self) -> Vec<Named> {
        let kept = self.super_nodes.iter().take(REMEMBERED);
        kept.map(Entry::named).collect()
    }

    pub(super) fn last(&self) -> Vec<Named> {
        self.last.iter().map(Entry::named).collect()
    }
}
