use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use super::{Message, Name};
use crate::header::split_unquoted;

/// Changes to a message on its way through a proxy. Everything else is copied as it stands.
#[derive(Debug, Clone)]
pub struct Rewrite<'a> {
    message: &'a Message,
    edits: Vec<(Range<usize>, String)>,
}

impl<'a> Rewrite<'a> {
    /// No changes yet. At most one change of each kind makes sense.
    #[must_use]
    pub const fn new(message: &'a Message) -> Self {
        Self {
            message,
            edits: Vec::new(),
        }
    }

    /// Puts a Via on top.
    #[must_use]
    pub fn push_via(mut self, via: &str) -> Self {
        let place = self.top(Name::Via);
        self.edits.push((place..place, line("Via", via)));
        self
    }

    /// Takes the topmost Via away.
    #[must_use]
    pub fn pop_via(self) -> Self {
        self.pop(Name::Via)
    }

    /// Takes the topmost Route away.
    #[must_use]
    pub fn pop_route(self) -> Self {
        self.pop(Name::Route)
    }

    /// Sets Max-Forwards, which the message may lack.
    #[must_use]
    pub fn max_forwards(mut self, hops: u8) -> Self {
        let mut text = String::new();
        let _ = core::fmt::Write::write_fmt(&mut text, format_args!("{hops}"));
        match self.message.first(Name::MaxForwards) {
            Some(field) => self.edits.push((field.value.range(), text)),
            None => {
                let place = self.top(Name::Via);
                self.edits.push((place..place, line("Max-Forwards", &text)));
            }
        }
        self
    }

    /// Writes the changed message.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        machine::sort_by_key(&mut self.edits, |(range, _)| range.start);
        let old = &self.message.buffer;
        let more: usize = self.edits.iter().map(|(_, text)| text.len()).sum();
        let mut new = Vec::with_capacity(old.len() + more);
        let mut place = 0;
        for (range, text) in &self.edits {
            new.extend_from_slice(&old[place..range.start]);
            new.extend_from_slice(text.as_bytes());
            place = range.end;
        }
        new.extend_from_slice(&old[place..]);
        new
    }

    fn pop(mut self, name: Name) -> Self {
        if let Some(field) = self.message.first(name) {
            let value = field.value.range();
            let (first, rest) = split_unquoted(self.message.slice(field.value), b',');
            let range = match rest {
                "" => field.line.range(),
                _ => value.start..value.start + first.len() + 1,
            };
            self.edits.push((range, String::new()));
        }
        self
    }

    fn top(&self, name: Name) -> usize {
        let field = self.message.first(name).or(self.message.fields.first());
        field.map_or(self.message.body.saturating_sub(2), |field| {
            field.line.range().start
        })
    }
}

fn line(name: &str, value: &str) -> String {
    let mut line = String::with_capacity(name.len() + value.len() + 4);
    for part in [name, ": ", value, "\r\n"] {
        line.push_str(part);
    }
    line
}
