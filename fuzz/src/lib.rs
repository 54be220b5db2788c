//! What strangers may send, and what must hold whatever they send: nothing panics, and what was understood can be said
//! again and is understood alike.
//!
//! Each [`Target`] is one parser. `cargo xtask fuzz` runs them under libFuzzer; a test runs each for a moment.

#![forbid(unsafe_code)]

mod overlays;
mod relays;
mod seeds;
mod sips;

pub use seeds::seeds;

/// A parser with what must hold of it.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// As it is called on the command line.
    pub name: &'static str,
    /// The vectors of `docs/protocol.md` to begin with: those whose names begin with this.
    pub vectors: &'static str,
    /// How many bytes of these vectors the target puts in front by itself.
    pub envelope: usize,
    /// Reads the bytes. It panics if something does not hold.
    pub run: fn(&[u8]),
}

const fn target(
    name: &'static str,
    vectors: &'static str,
    envelope: usize,
    run: fn(&[u8]),
) -> Target {
    Target {
        name,
        vectors,
        envelope,
        run,
    }
}

/// All targets.
pub const TARGETS: &[Target] = &[
    target("frame", "overlay/", 0, overlays::frame),
    target("from-ordinary", "overlay/on-", 17, overlays::from_ordinary),
    target(
        "from-super-node",
        "overlay/sn-",
        17,
        overlays::from_super_node,
    ),
    target("link", "overlay/peer-", 17, overlays::link),
    target("record", "overlay/record", 0, overlays::record),
    target(
        "certificate",
        "credential/certificate",
        0,
        overlays::certificate,
    ),
    target("statement", "credential/statement", 0, overlays::statement),
    target(
        "revocations",
        "credential/revocations",
        0,
        overlays::revocations,
    ),
    target("location", "p2psip/", 0, overlays::location),
    target("sip-message", "sip/", 0, sips::message),
    target("sip-stream", "sip/", 0, sips::stream),
    target("sip-digest", "digest/", 0, sips::digest),
    target("sip-uri", "sip/", 0, sips::uri),
    target("sdp", "sip/", 0, sips::description),
    target("stun", "stun/", 0, relays::stun),
    target("turn", "stun/", 0, relays::relay),
    target("turn-framing", "stun/", 0, relays::framing),
];

/// The target of a name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
