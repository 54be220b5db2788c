use alloc::boxed::Box;
use alloc::string::String;

use crate::Peer;

/// Where a request for somebody is to go (RFC 3261, section 16.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The new Request-URI.
    pub uri: String,
    /// What stands in the Route headers before those of the request: `<sip:a;lr>, <sip:b;lr>`. Empty for none.
    pub route: String,
    /// The flow to send it on (RFC 5626), or the address. Where there is none, Route or Request-URI say it.
    pub flow: Option<Peer>,
    /// How much the target wants to be called: 1000 is a q of 1. Targets of one preference are called at once, those of
    /// a lower one after all of a higher one refused.
    pub preference: u16,
    /// The target to take instead when this one can't be reached: another flow of the same device.
    pub otherwise: Option<Box<Target>>,
}

impl Target {
    /// A target that is reached as its URI says.
    #[must_use]
    pub fn new(uri: &str) -> Self {
        Self {
            uri: uri.into(),
            route: String::new(),
            flow: None,
            preference: 1000,
            otherwise: None,
        }
    }
}
