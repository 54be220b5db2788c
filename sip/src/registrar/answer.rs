use alloc::string::String;

use super::User;
use crate::Uri;
use crate::header::quote;
use crate::text::{digits, filled};
use machine::Instant;

/// The response to a REGISTER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Header lines beside those that every response has.
    pub headers: String,
    /// What is wrong, for a Warning. Empty if nothing is.
    pub problem: &'static str,
}

impl Answer {
    pub(super) fn refuse(status: u16, problem: &'static str) -> Self {
        Self {
            status,
            headers: String::new(),
            problem,
        }
    }

    pub(super) fn line(mut self, template: &str, values: &[&str]) -> Self {
        self.headers += &filled(template, values);
        self
    }
}

/// The Contact lines for a user, with GRUUs if the client knows them.
pub(super) fn contacts(user: Option<&User>, gruu: Option<&Uri>, now: Instant) -> String {
    let mut lines = String::new();
    for binding in user.iter().flat_map(|user| &user.bindings) {
        let left = binding.until.saturating_duration_since(now).as_secs();
        if left == 0 {
            continue;
        }
        for part in ["Contact: ", &binding.text, ";expires=", &digits(left)] {
            lines.push_str(part);
        }
        if let (Some(aor), Some(instance)) = (gruu, binding.instance()) {
            let uri = filled("%;gr=%", &[&aor.address_of_record(), instance]);
            lines += &filled(";pub-gruu=%", &[&quote(&uri)]);
        }
        lines.push_str("\r\n");
    }
    lines
}
