use alloc::string::String;

use super::{Parameters, cut_blank, is_token, split_unquoted, trim, unquote};
use crate::message::Method;
use crate::text::{digits, filled};

/// The highest sequence number (RFC 3261, section 8.1.1.5).
const LIMIT: u64 = 1 << 31;

/// A CSeq header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// The sequence number, below 2^31.
    pub number: u32,
    /// The method, as written.
    pub text: &'a str,
}

impl<'a> CSeq<'a> {
    /// Reads the header.
    #[must_use]
    pub fn read(text: &'a str) -> Option<Self> {
        let (number, text) = cut_blank(text)?;
        let number = number32(number)?;
        is_token(text).then_some(Self { number, text })
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> Method {
        Method::read(self.text)
    }
}

/// An RAck header (RFC 3262): which reliable response of which request a PRACK acknowledges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RAck {
    /// The response's RSeq.
    pub response: u32,
    /// The request's CSeq number.
    pub request: u32,
}

impl RAck {
    /// Reads the header of a PRACK for an INVITE.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (response, rest) = cut_blank(text)?;
        let cseq = CSeq::read(rest)?;
        Some(Self {
            response: number32(response)?,
            request: (cseq.method() == Method::Invite).then_some(cseq.number)?,
        })
    }
}

fn number32(text: &str) -> Option<u32> {
    let number = crate::message::decimal(text)?;
    (number < LIMIT).then_some(number as u32)
}

/// A Reason header (RFC 3326) of protocol SIP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The status that says why.
    pub cause: u16,
    /// The sentence.
    pub text: String,
}

impl Reason {
    /// Reads one element; other protocols than SIP are none.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (protocol, parameters) = split_unquoted(text, b';');
        let parameters = Parameters::read(parameters)?;
        if !trim(protocol).eq_ignore_ascii_case("SIP") {
            return None;
        }
        Some(Self {
            cause: crate::message::decimal(parameters.find("cause")?)?
                .try_into()
                .ok()?,
            text: unquote(parameters.find("text").unwrap_or("")),
        })
    }

    /// Writes an element. The sentence is this program's own and holds no quotes.
    #[must_use]
    pub fn write(cause: u16, text: &str) -> String {
        filled("SIP;cause=%;text=\"%\"", &[&digits(cause.into()), text])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a37_sequence_numbers_at_their_bounds() {
        assert_eq!(CSeq::read("0009\tINVITE").unwrap().number, 9);
        assert_eq!(CSeq::read("2147483647 BYE").unwrap().number, 2_147_483_647);
        for bad in [
            "",
            "1",
            "INVITE",
            "2147483648 BYE",
            "-1 BYE",
            "36893488147419103232 BYE",
            "1 ",
            "1 A B",
        ] {
            assert!(CSeq::read(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn rack_names_response_and_request() {
        let rack = RAck::read("776656 1 INVITE").unwrap();
        assert_eq!((rack.response, rack.request), (776_656, 1));
        assert!(RAck::read("1 1 BYE").is_none());
        assert!(RAck::read("1 INVITE").is_none());
    }

    #[test]
    fn reason_there_and_back() {
        let reason = Reason::read(&Reason::write(200, "Call completed elsewhere")).unwrap();
        assert_eq!(
            (reason.cause, reason.text.as_str()),
            (200, "Call completed elsewhere")
        );
        assert!(Reason::read("Q.850;cause=16").is_none());
    }
}
