use serde::Deserialize;

/// `[promotion]`: when this node, an ordinary one at first, becomes a super node by itself (draft §7).
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Promotion {
    /// Seconds without interruption that it must have been associated.
    pub uptime: u64,
    /// Processors that it must have.
    pub cores: usize,
    /// MiB of memory that must be free.
    pub memory: u64,
    /// The most load, per processor over the last minute, with which it takes the duty on. Once it is a super node, load
    /// changes nothing.
    pub load: f64,
    /// Mbit/s that it must be able to send, measured by the super node that probes it.
    pub upload: f64,
    /// Seconds between looks, and between probes of a node that was promoted.
    pub every: u64,
    /// Probes in a row that may fail before a promoted node steps back.
    pub misses: u32,
    /// Seconds that a node that stepped back waits.
    pub rest: u64,
}

impl Default for Promotion {
    fn default() -> Self {
        Self {
            uptime: 4 * 60 * 60,
            cores: 1,
            memory: 256,
            load: 0.7,
            upload: 2.0,
            every: 10 * 60,
            misses: 3,
            rest: 60 * 60,
        }
    }
}
