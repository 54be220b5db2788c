use alloc::string::String;

use super::{Parameters, cut, cut_blank, host_and_port, is_token, split_unquoted, trim};
use crate::text::filled;

/// One element of a Via header (RFC 3261, section 20.42).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Via<'a> {
    /// The transport, as written.
    pub transport: &'a str,
    /// Host and port, as written.
    pub sent_by: &'a str,
    parameters: Parameters<'a>,
}

impl<'a> Via<'a> {
    /// Reads one element.
    #[must_use]
    pub fn read(text: &'a str) -> Option<Self> {
        let (name, rest) = cut(text, '/')?;
        let (version, rest) = cut(rest, '/')?;
        let (transport, rest) = cut_blank(rest)?;
        let (sent_by, parameters) = split_unquoted(rest, b';');
        let sent_by = trim(sent_by);
        host_and_port(sent_by, "-._")?;
        let sip = name.eq_ignore_ascii_case("SIP") && version == "2.0";
        (sip && is_token(transport)).then_some(Self {
            transport,
            sent_by,
            parameters: Parameters::read(parameters)?,
        })
    }

    /// The branch, which names the transaction.
    #[must_use]
    pub fn branch(&self) -> Option<&'a str> {
        let branch = self.parameters.find("branch")?;
        is_token(branch).then_some(branch)
    }

    /// The value of a parameter, empty if it has none.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters.find(name)
    }

    /// Host and port of the sent-by.
    #[must_use]
    pub fn host_and_port(&self) -> (&'a str, Option<u16>) {
        host_and_port(self.sent_by, "-._").unwrap_or((self.sent_by, None))
    }

    /// Writes an element.
    #[must_use]
    pub fn write(transport: &str, sent_by: &str, branch: &str) -> String {
        filled("SIP/2.0/% %;branch=%", &[transport, sent_by, branch])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn via_with_and_without_blanks() {
        let via = Via::read("SIP  / 2.0  / TCP     spindle.example.com   ;  branch  =   z9hG4bK9")
            .unwrap();
        assert_eq!(
            (via.transport, via.sent_by, via.branch()),
            ("TCP", "spindle.example.com", Some("z9hG4bK9"))
        );
        let via =
            Via::read("SIP/2.0/UDP [2001:db8::9]:5060;received=1.2.3.4;branch=z9hG4bK1").unwrap();
        assert_eq!(via.sent_by, "[2001:db8::9]:5060");
        assert_eq!(
            Via::read(&Via::write("WSS", "x.invalid", "z9hG4bKa"))
                .unwrap()
                .branch(),
            Some("z9hG4bKa")
        );
    }

    #[test]
    fn bad_vias() {
        for bad in [
            "",
            "SIP/2.0",
            "SIP/2.0/",
            "SIP/2.0/UDP",
            "SIP/3.0/UDP a",
            "SIP/2.0/UDP ",
            "SIP/2.0/UDP a:b",
            "SIP/2.0/UDP a:99999",
            "SIP/2.0/UDP [::1",
            "SIP/2.0/UDP a;",
            "SIP/2.0/UDP a b",
            "HTTP/2.0/UDP a",
            "SIP/2.0/UDP <a>",
            "SIP/2.0/UDP a;branch=\"x",
        ] {
            assert!(Via::read(bad).is_none(), "{bad}");
        }
    }
}
