//! A small SDP reader (RFC 8866): what a call needs to know of a description before it is handed on.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::header::{cut, is_token};
use crate::message::decimal;
use crate::text::{hex, octet};

/// The media type of a description.
pub const MEDIA_TYPE: &str = "application/sdp";
/// The most bytes a description may have.
pub const MAXIMUM: usize = 49_152;
/// The most media sections that are read.
const MAXIMUM_SECTIONS: usize = 32;
/// The most bytes a hash may have (SHA-512).
const MAXIMUM_DIGEST: usize = 64;

/// A certificate fingerprint as in `a=fingerprint` (RFC 8122).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint {
    /// The hash function's name in lower case, `sha-256`.
    pub algorithm: String,
    /// The hash's bytes.
    pub digest: Vec<u8>,
}

impl Fingerprint {
    /// Reads the attribute's value, `sha-256 AB:CD:..`.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (algorithm, digits) = cut(text, ' ')?;
        Self::new(algorithm, digits.as_bytes(), 3)
    }

    /// Reads the form of a PASSporT: the name apart, the digits without colons (RFC 8225, section 5.2.2).
    #[must_use]
    pub fn read_plain(algorithm: &str, digits: &str) -> Option<Self> {
        Self::new(algorithm, digits.as_bytes(), 2)
    }

    /// The digits without colons, in upper case.
    #[must_use]
    pub fn plain_digits(&self) -> String {
        let mut digits = String::with_capacity(self.digest.len() * 2);
        hex(&mut digits, &self.digest, "");
        digits
    }

    /// The attribute's value, `sha-256 AB:CD:..`.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.algorithm.clone();
        text.push(' ');
        hex(&mut text, &self.digest, ":");
        text
    }

    /// Reads digits that take `step` characters for a byte, the third of them a colon.
    fn new(algorithm: &str, digits: &[u8], step: usize) -> Option<Self> {
        if !is_token(algorithm) || algorithm.len() > 16 {
            return None;
        }
        let mut digest = Vec::new();
        let mut groups = digits.chunks(step);
        while let Some(group) = groups.next() {
            let (pair, colon) = group.split_at_checked(2)?;
            // A colon stands between two bytes, not behind the last.
            let between: &[u8] = if groups.len() > 0 { b":" } else { b"" };
            if step == 3 && colon != between {
                return None;
            }
            digest.push(octet(pair)?);
        }
        (16..=MAXIMUM_DIGEST).contains(&digest.len()).then(|| Self {
            algorithm: algorithm.to_ascii_lowercase(),
            digest,
        })
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// What a description, or one section of it, says about keys and ICE.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Section<'a> {
    /// The media kind (`audio`); empty for the session's own part.
    pub kind: &'a str,
    /// Switched off: port 0 and not `bundle-only`.
    pub rejected: bool,
    /// `a=mid`.
    pub mid: &'a str,
    /// `a=ice-ufrag`.
    pub ufrag: &'a str,
    /// `a=ice-pwd`.
    pub password: &'a str,
    /// All `a=fingerprint`.
    pub fingerprints: Vec<Fingerprint>,
    /// All `a=candidate`, from the word `candidate` on.
    pub candidates: Vec<&'a str>,
    /// `a=end-of-candidates`.
    pub complete: bool,
}

/// A description or a fragment of one (RFC 8840).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description<'a> {
    /// What stands before the first media section, then the media sections.
    sections: Vec<Section<'a>>,
}

impl Default for Description<'_> {
    fn default() -> Self {
        let sections = Vec::from([Section::default()]);
        Self { sections }
    }
}

/// Why a description can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SdpError {
    /// It is not SDP.
    Syntax,
    /// It is larger than anything that is read.
    TooLarge,
    /// A media section has no fingerprint, or there is no media section in use.
    NoFingerprint,
    /// A fingerprint is none of the allowed.
    ForeignFingerprint,
}

impl<'a> Description<'a> {
    /// What stands before the first media section, then the media sections.
    #[must_use]
    pub fn sections(&self) -> &[Section<'a>] {
        &self.sections
    }

    /// What stands before the first media section.
    #[must_use]
    pub fn session(&self) -> &Section<'a> {
        &self.sections[0]
    }

    /// The media sections.
    #[must_use]
    pub fn media(&self) -> &[Section<'a>] {
        &self.sections[1..]
    }

    /// Reads a whole description.
    ///
    /// # Errors
    /// The text is not SDP, or too large.
    pub fn read(text: &'a str) -> Result<Self, SdpError> {
        if !text.starts_with("v=0\r\n") && !text.starts_with("v=0\n") {
            return Err(SdpError::Syntax);
        }
        Self::read_fragment(text)
    }

    /// Reads a fragment, which has attributes and media lines only.
    ///
    /// # Errors
    /// The text is not SDP, or too large.
    pub fn read_fragment(text: &'a str) -> Result<Self, SdpError> {
        if text.len() > MAXIMUM {
            return Err(SdpError::TooLarge);
        }
        let mut description = Self::default();
        for line in text.split('\n') {
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            let (kind, value) = line.split_once('=').ok_or(SdpError::Syntax)?;
            if kind.len() != 1 || value.bytes().any(|b| b.is_ascii_control()) {
                return Err(SdpError::Syntax);
            }
            match kind {
                "m" if description.media().len() == MAXIMUM_SECTIONS => {
                    return Err(SdpError::TooLarge);
                }
                "m" => description.sections.push(media(value)?),
                "a" => {
                    if let Some(section) = description.sections.last_mut() {
                        section.attribute(value)?;
                    }
                }
                _ => {}
            }
        }
        Ok(description)
    }

    /// Every fingerprint in it, once, in order.
    #[must_use]
    pub fn fingerprints(&self) -> Vec<Fingerprint> {
        let mut all = Vec::new();
        for section in &self.sections {
            for one in &section.fingerprints {
                include(&mut all, one.clone());
            }
        }
        all
    }

    /// Checks that every media section is keyed by a certificate out of `allowed`, and none by another.
    ///
    /// # Errors
    /// Says whether a fingerprint is missing or foreign.
    pub fn check(&self, allowed: &[Fingerprint]) -> Result<(), SdpError> {
        let foreign = |section: &Section<'_>| {
            let mut all = section.fingerprints.iter();
            all.any(|one| !allowed.contains(one))
        };
        let mut error = Err(SdpError::NoFingerprint);
        if self.sections.iter().any(foreign) {
            return Err(SdpError::ForeignFingerprint);
        }
        for section in self.media().iter().filter(|section| !section.rejected) {
            if section.fingerprints.is_empty() && self.session().fingerprints.is_empty() {
                return Err(SdpError::NoFingerprint);
            }
            error = Ok(());
        }
        error
    }
}

impl<'a> Section<'a> {
    fn attribute(&mut self, text: &'a str) -> Result<(), SdpError> {
        let (name, value) = text.split_once(':').unwrap_or((text, ""));
        match name {
            "fingerprint" => {
                let fingerprint = Fingerprint::read(value).ok_or(SdpError::Syntax)?;
                self.fingerprints.push(fingerprint);
            }
            "ice-ufrag" => self.ufrag = value,
            "ice-pwd" => self.password = value,
            "mid" => self.mid = value,
            "candidate" => self.candidates.push(text),
            "end-of-candidates" => self.complete = true,
            "bundle-only" => self.rejected = false,
            _ if name.eq_ignore_ascii_case("fingerprint") => return Err(SdpError::Syntax),
            _ => {}
        }
        Ok(())
    }
}

/// Puts a fingerprint among others, once, in the order of a PASSporT (RFC 8225, section 5.2.2).
pub(crate) fn include(all: &mut Vec<Fingerprint>, one: Fingerprint) {
    let place = all.iter().position(|other| *other >= one);
    let place = place.unwrap_or(all.len());
    if all.get(place) != Some(&one) {
        all.insert(place, one);
    }
}

fn media(line: &str) -> Result<Section<'_>, SdpError> {
    let mut words = line.splitn(4, ' ');
    let (Some(kind), Some(port), Some(_), Some(_)) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(SdpError::Syntax);
    };
    let port = port.split('/').next().and_then(decimal);
    let port = port
        .filter(|port| *port <= 65_535)
        .ok_or(SdpError::Syntax)?;
    Ok(Section {
        kind,
        rejected: port == 0,
        ..Section::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    const A: &str = "AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99";
    const B: &str = "BB:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99";

    fn print(digits: &str) -> Fingerprint {
        Fingerprint::read(&format!("sha-256 {digits}")).unwrap()
    }

    fn text(parts: &[&str]) -> String {
        format!("v=0\r\ns=-\r\n{}\r\n", parts.join("\r\n"))
    }

    const AUDIO: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 111";
    const VIDEO: &str = "m=video 9 UDP/TLS/RTP/SAVPF 96";

    #[test]
    fn fingerprint_there_and_back() {
        let one = Fingerprint::read(&format!("SHA-256 {}", A.to_lowercase())).unwrap();
        assert_eq!(format!("{one}"), format!("sha-256 {A}"));
        assert_eq!(
            Fingerprint::read_plain("sha-256", &one.plain_digits()),
            Some(one)
        );
        for bad in [
            "",
            "sha-256",
            "sha-256 AA",
            "sha-256 AA:B",
            "sha-256 +1:02",
            "sha 256 AA",
        ] {
            assert_eq!(Fingerprint::read(bad), None, "{bad}");
        }
        assert_eq!(
            Fingerprint::read_plain("sha-256", "é".repeat(20).as_str()),
            None
        );
    }

    #[test]
    fn a10_every_section_is_keyed_by_the_allowed_certificate() {
        let a = format!("a=fingerprint:sha-256 {A}");
        let b = format!("a=fingerprint:sha-256 {B}");
        let allowed = [print(A)];
        let check = |parts: &[&str]| Description::read(&text(parts)).unwrap().check(&allowed);
        assert_eq!(check(&[&a, AUDIO, VIDEO]), Ok(()));
        assert_eq!(check(&[AUDIO, &a, VIDEO, &a]), Ok(()));
        assert_eq!(check(&[AUDIO, &a, VIDEO]), Err(SdpError::NoFingerprint));
        assert_eq!(check(&[&a]), Err(SdpError::NoFingerprint));
        assert_eq!(
            check(&[&a, AUDIO, VIDEO, &b]),
            Err(SdpError::ForeignFingerprint)
        );
        assert_eq!(check(&[&b, AUDIO, &a]), Err(SdpError::ForeignFingerprint));
        assert_eq!(
            check(&[&a, AUDIO, &a, &b]),
            Err(SdpError::ForeignFingerprint)
        );
        let off = VIDEO.replace(" 9 ", " 0 ");
        assert_eq!(
            check(&[AUDIO, &a, &off]),
            Ok(()),
            "a section switched off needs none"
        );
        assert_eq!(
            check(&[AUDIO, &a, &off, "a=bundle-only"]),
            Err(SdpError::NoFingerprint)
        );
        assert_eq!(check(&[&a, &off]), Err(SdpError::NoFingerprint));
    }

    #[test]
    fn bad_descriptions() {
        for bad in [
            "",
            "v=1\r\n",
            "x",
            "v=0\r\nm=audio\r\n",
            "v=0\r\nm=audio x y z\r\n",
            "v=0\r\na=fingerprint:sha-256 XX\r\n",
            "v=0\r\na=Fingerprint:x\r\n",
            "v=0\r\nab=c\r\n",
            "v=0\r\na=\u{0}\r\n",
        ] {
            assert!(Description::read(bad).is_err(), "{bad}");
        }
        assert_eq!(
            Description::read(&format!("v=0\r\n{}", "m=audio 9 x 1\r\n".repeat(40))),
            Err(SdpError::TooLarge)
        );
    }

    #[test]
    fn ice_attributes_by_section() {
        let text = text(&[
            "a=ice-ufrag:u",
            "a=ice-pwd:p",
            AUDIO,
            "a=mid:0",
            "a=candidate:1 1 udp 1 1.2.3.4 5 typ host",
            "a=end-of-candidates",
        ]);
        let one = Description::read(&text).unwrap();
        assert_eq!((one.session().ufrag, one.session().password), ("u", "p"));
        assert_eq!(
            one.media()[0].candidates,
            ["candidate:1 1 udp 1 1.2.3.4 5 typ host"]
        );
        assert!(one.media()[0].complete && one.media()[0].mid == "0");
    }
}
