use alloc::boxed::Box;
use alloc::string::String;

use machine::Instant;

use crate::Peer;
use crate::proxy::Target;

/// One contact of one user.
#[derive(Debug)]
pub(super) struct Binding {
    /// `<uri>` and the parameters but for expires.
    pub(super) text: Box<str>,
    /// How long the URI in `text` is.
    pub(super) uri: u16,
    /// Where the instance stands in `text`.
    pub(super) instance: (u16, u16),
    pub(super) preference: u16,
    pub(super) reg_id: u32,
    pub(super) cseq: u32,
    pub(super) call_id: Box<str>,
    pub(super) path: Option<Box<str>>,
    pub(super) flow: Option<Peer>,
    pub(super) made: Instant,
    pub(super) until: Instant,
}

impl Binding {
    pub(super) fn uri(&self) -> &str {
        self.text.get(1..=usize::from(self.uri)).unwrap_or("")
    }

    /// The instance without its angle brackets.
    pub(super) fn instance(&self) -> Option<&str> {
        let (from, to) = self.instance;
        let text = self.text.get(usize::from(from)..usize::from(to))?;
        (!text.is_empty()).then_some(text)
    }

    pub(super) fn target(&self) -> Target {
        // Who keeps no flow may be reached by a new connection when the one it registered on is gone.
        let anew = self.reg_id == 0 && self.flow.is_some_and(|flow| flow.connection != 0);
        Target {
            uri: self.uri().into(),
            route: self.path.as_deref().map_or(String::new(), String::from),
            flow: self.flow,
            preference: self.preference,
            otherwise: anew.then(|| Box::new(Target::new(self.uri()))),
        }
    }

    /// Says whether a REGISTER's contact is this one: the same flow of the same device, or else the same URI.
    pub(super) fn is(&self, other: &Self) -> bool {
        if other.reg_id > 0 || self.reg_id > 0 {
            return self.reg_id == other.reg_id && self.instance() == other.instance();
        }
        let uri = |binding: &Self| crate::Uri::read(binding.uri());
        self.uri() == other.uri()
            || matches!((uri(self), uri(other)), (Ok(one), Ok(other)) if one == other)
    }

    /// Says whether what others see of it is the same.
    pub(super) fn looks_like(&self, other: &Self) -> bool {
        self.text == other.text && self.path == other.path && self.preference == other.preference
    }
}
