//! What a super node refuses when it has too much to do: new associations first, then searches, then records. Calls in
//! progress go on, and the node never leaves by itself: those that it sent away would fall on the others.

use super::{SuperNode, placing, searching};

/// What can be shed, in this order.
#[derive(Debug, Clone, Copy)]
pub(super) enum Class {
    Association,
    Search,
    Record,
}

impl Class {
    /// From which load on it is shed, in percent.
    const fn limit(self) -> usize {
        match self {
            Self::Association => 50,
            Self::Search => 70,
            Self::Record => 90,
        }
    }
}

impl SuperNode {
    /// Whether requests of a class are turned away for now.
    pub(super) fn sheds(&self, class: Class) -> bool {
        self.load() >= class.limit()
    }

    /// Whether it is half way to turning new associations away.
    pub(super) fn is_busy(&self) -> bool {
        2 * self.load() >= Class::Association.limit()
    }

    /// How much of what is bounded is in use, in percent; or what the driver says, if that is more.
    fn load(&self) -> usize {
        let parts = [
            (self.checks.len(), self.config.limits.checks),
            (self.searches.len(), searching::SEARCHES),
            (self.placings.len(), placing::PLACINGS),
        ];
        let own = parts.map(|(used, most)| used * 100 / most.max(1));
        own.into_iter().max().unwrap_or(0).max(self.reported_load)
    }
}
