use alloc::string::String;

use super::{Parameters, is_token, trim};

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
        let (name, rest) = text.split_once('/')?;
        let (version, rest) = rest.split_once('/')?;
        if !trim(name).eq_ignore_ascii_case("SIP") || trim(version) != "2.0" {
            return None;
        }
        let rest = trim(rest);
        let (transport, rest) = rest.split_at(rest.find([' ', '\t'])?);
        let rest = trim(rest);
        let end = rest.find(';').unwrap_or(rest.len());
        let (sent_by, parameters) = rest.split_at(end);
        let sent_by = trim(sent_by);
        if !is_token(transport) || !is_sent_by(sent_by) {
            return None;
        }
        Some(Self {
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

    /// Writes an element.
    #[must_use]
    pub fn write(transport: &str, sent_by: &str, branch: &str) -> String {
        let mut text = String::with_capacity(32 + sent_by.len() + branch.len());
        for part in ["SIP/2.0/", transport, " ", sent_by, ";branch=", branch] {
            text.push_str(part);
        }
        text
    }
}

fn is_sent_by(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((inside, rest)) => {
                let sound = inside
                    .bytes()
                    .all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'));
                (
                    if sound { inside } else { "" },
                    trim(rest).strip_prefix(':'),
                )
            }
            None => return false,
        },
        None => match text.split_once(':') {
            Some((host, port)) => (trim(host), Some(port)),
            None => (text, None),
        },
    };
    let in_brackets = text.starts_with('[');
    let name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    !host.is_empty()
        && host.len() <= 255
        && (in_brackets || host.bytes().all(name))
        && port.is_none_or(|port| trim(port).parse::<u16>().is_ok())
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
