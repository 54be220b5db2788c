//! The descriptions of a bridged call: what a page and a phone say to each other of their sound, each in its own terms.
//!
//! ```text
//! page:  m=audio 9 UDP/TLS/RTP/SAVPF 111 0 .., a=ice-ufrag, a=fingerprint, a=mid, a=group:BUNDLE, m=video ..
//! phone: m=audio 4000 RTP/AVP 0 101, c=IN IP4 192.0.2.1
//! ```
//! Sound is passed on as it is, so both sides must agree on a codec: Opus, G.722, G.711, and telephone events. Whoever is asked
//! gets the numbers of whoever asks; where the answer has other numbers, [`Numbers`] says which becomes which.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;
use core::net::{IpAddr, SocketAddr};

/// The most codecs that are looked at.
const MOST: usize = 64;
/// The codecs that a bridge passes on, with their clock rates where only one is known.
const KNOWN: [&str; 5] = ["opus", "g722", "pcmu", "pcma", "telephone-event"];
/// Codecs whose numbers everybody knows (RFC 3551, section 6).
const STATIC: [(u8, &str); 3] = [(0, "PCMU/8000"), (8, "PCMA/8000"), (9, "G722/8000")];

/// One codec of a description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Codec {
    pub(super) number: u8,
    /// `opus/48000/2`, as `a=rtpmap` has it.
    name: String,
    /// What `a=fmtp` says.
    parameters: String,
}

impl Codec {
    fn is_known(&self) -> bool {
        let name = self.name.split('/').next().unwrap_or("");
        KNOWN.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    fn is_event(&self) -> bool {
        let name = self.name.as_bytes();
        name.len() > 15 && name[..15].eq_ignore_ascii_case(b"telephone-event")
    }

    fn is_same(&self, other: &Self) -> bool {
        let plain = |name: &str| {
            let name = name.to_ascii_lowercase();
            // One channel need not be said.
            name.strip_suffix("/1").unwrap_or(&name).to_string()
        };
        plain(&self.name) == plain(&other.name)
    }
}

/// Which way sound goes, as the side that describes it sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Both,
    SendOnly,
    ReceiveOnly,
    Inactive,
}

impl Direction {
    const fn text(self) -> &'static str {
        match self {
            Self::Both => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::ReceiveOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    fn read(text: &str) -> Option<Self> {
        [
            Self::Both,
            Self::SendOnly,
            Self::ReceiveOnly,
            Self::Inactive,
        ]
        .into_iter()
        .find(|one| one.text() == text)
    }

    /// What the other side answers.
    pub(super) const fn turned(self) -> Self {
        match self {
            Self::SendOnly => Self::ReceiveOnly,
            Self::ReceiveOnly => Self::SendOnly,
            Self::Both | Self::Inactive => self,
        }
    }

    /// Whether whoever says this wants to hear.
    pub(super) const fn hears(self) -> bool {
        matches!(self, Self::Both | Self::ReceiveOnly)
    }
}

/// Which payload number becomes which; what has none is not passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbers(Vec<(u8, u8)>);

impl Numbers {
    /// What a number becomes.
    #[must_use]
    pub fn turn(&self, number: u8) -> Option<u8> {
        let mut pairs = self.0.iter();
        pairs.find(|(from, _)| *from == number).map(|(_, to)| *to)
    }

    /// Numbers that stay as they are.
    #[must_use]
    pub fn kept(numbers: impl IntoIterator<Item = u8>) -> Self {
        Self(numbers.into_iter().map(|one| (one, one)).collect())
    }
}

/// What a description says of its sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sound {
    pub(super) codecs: Vec<Codec>,
    pub(super) direction: Direction,
    /// Where RTP goes, if the description has an address that is a number.
    pub(super) place: Option<SocketAddr>,
    /// Where RTCP goes, if it says so (RFC 3605).
    pub(super) control: Option<SocketAddr>,
    /// The media sections, in order: kind, protocol and formats, `a=mid`; the first audio section in use is the one described.
    sections: Vec<(String, String)>,
    audio: usize,
    /// What `a=ptime` and `a=maxptime` say, as lines.
    packets: String,
}

impl Sound {
    /// Reads a description. `None` if it has no sound.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut session_ip = None;
        let mut ip = None;
        let mut direction = None;
        let mut session_direction = None;
        let mut sections: Vec<(String, String)> = Vec::new();
        let mut audio: Option<usize> = None;
        let (mut port, mut rtcp, mut muxed, mut ice) = (0, None, false, false);
        let mut formats: Vec<u8> = Vec::new();
        let mut maps: Vec<(u8, &str)> = Vec::new();
        let mut parameters: Vec<(u8, &str)> = Vec::new();
        let mut packets = String::new();
        for line in text.lines() {
            let Some((kind, value)) = line.split_once('=') else {
                continue;
            };
            let here = audio.is_some_and(|audio| audio + 1 == sections.len());
            match kind {
                "m" if sections.len() < 16 => {
                    sections.push((value.into(), String::new()));
                    let mut words = value.split(' ');
                    let (kind, at) = (words.next()?, words.next()?);
                    let at: u16 = at.split('/').next()?.parse().ok()?;
                    if kind == "audio" && at > 0 && audio.is_none() {
                        audio = Some(sections.len() - 1);
                        port = at;
                        let numbers = words.skip(1).filter_map(|one| one.parse().ok());
                        formats = numbers.filter(|one| *one < 128).take(MOST).collect();
                    }
                }
                "c" => {
                    let address = value
                        .strip_prefix("IN IP4 ")
                        .or(value.strip_prefix("IN IP6 "));
                    let address =
                        address.and_then(|one| one.split('/').next()?.parse::<IpAddr>().ok());
                    if here {
                        ip = address;
                    } else if sections.is_empty() {
                        session_ip = address;
                    }
                }
                "a" => {
                    let (name, value) = value.split_once(':').unwrap_or((value, ""));
                    if name == "mid"
                        && let Some(last) = sections.last_mut()
                    {
                        last.1 = value.into();
                    }
                    if let Some(read) = Direction::read(name) {
                        if here {
                            direction = Some(read);
                        } else if sections.is_empty() {
                            session_direction = Some(read);
                        }
                    }
                    ice |= name == "ice-ufrag";
                    if !here {
                        continue;
                    }
                    let numbered = || {
                        let (number, rest) = value.split_once(' ')?;
                        Some((number.parse::<u8>().ok()?, rest))
                    };
                    match name {
                        "rtpmap" if maps.len() < MOST => maps.extend(numbered()),
                        "fmtp" if parameters.len() < MOST => parameters.extend(numbered()),
                        "rtcp" => rtcp = value.split(' ').next()?.parse::<u16>().ok(),
                        "rtcp-mux" => muxed = true,
                        "ptime" | "maxptime" => {
                            let _ = write!(packets, "a={name}:{value}\r\n");
                        }
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        let audio = audio?;
        let codecs = formats.iter().filter_map(|number| {
            let named = maps.iter().find(|(one, _)| one == number);
            let usual = || STATIC.iter().find(|(one, _)| one == number);
            let name = named.or_else(usual)?.1;
            let parameters = parameters.iter().find(|(one, _)| one == number);
            Some(Codec {
                number: *number,
                name: name.into(),
                parameters: parameters.map_or(String::new(), |(_, text)| (*text).into()),
            })
        });
        let codecs = codecs.filter(Codec::is_known).collect();
        let place = ip.or(session_ip).map(|ip| SocketAddr::new(ip, port));
        // Who has no candidate yet names no address either (RFC 8839, section 4.2.1).
        let nowhere = place.is_some_and(|place| place.ip().is_unspecified());
        let mut direction = direction.or(session_direction).unwrap_or(Direction::Both);
        if nowhere && !ice {
            // The hold of old (RFC 2543).
            direction = Direction::SendOnly;
        }
        let control = place.map(|place| {
            let next = if muxed { port } else { port.saturating_add(1) };
            SocketAddr::new(place.ip(), rtcp.unwrap_or(next))
        });
        Some(Self {
            codecs,
            direction,
            place: place.filter(|_| !nowhere),
            control: control.filter(|_| !nowhere),
            sections,
            audio,
            packets,
        })
    }

    /// Says whether there is a codec that carries a voice.
    pub(super) fn has_voice(&self) -> bool {
        self.codecs.iter().any(|codec| !codec.is_event())
    }

    /// This description with those codecs only that the other has, too, in the other's order, by this one's numbers.
    pub(super) fn common(&self, other: &Self) -> Self {
        let mut sound = self.clone();
        sound.codecs.clear();
        for codec in &other.codecs {
            let mut own = self.codecs.iter();
            if let Some(own) = own.find(|own| own.is_same(codec)) {
                let mut own = own.clone();
                own.parameters.clone_from(&codec.parameters);
                sound.codecs.push(own);
            }
        }
        sound
    }

    /// What the numbers of this description become in the other.
    pub(super) fn numbers(&self, other: &Self) -> Numbers {
        let mut pairs = Vec::new();
        for codec in &self.codecs {
            let mut others = other.codecs.iter();
            if let Some(other) = others.find(|other| other.is_same(codec)) {
                pairs.push((codec.number, other.number));
            }
        }
        Numbers(pairs)
    }
}

/// The bridge's own part of what it tells a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ice {
    /// Where the bridge is reached.
    pub place: SocketAddr,
    /// `a=ice-ufrag`.
    pub ufrag: String,
    /// `a=ice-pwd`.
    pub password: String,
    /// The value of `a=fingerprint`.
    pub fingerprint: String,
}

/// The description of a phone's sound by these codecs, with the bridge at `place`.
pub(super) fn for_phone(
    codecs: &Sound,
    place: SocketAddr,
    direction: Direction,
    id: u64,
    version: u32,
) -> String {
    let (family, ip) = (family(place.ip()), place.ip());
    let mut text = String::new();
    let _ = write!(
        text,
        "v=0\r\no=- {id} {version} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio {} RTP/AVP",
        place.port()
    );
    write_codecs(&mut text, codecs);
    let _ = write!(text, "a={}\r\n", direction.text());
    text
}

/// An offer for a page.
pub(super) fn offer_for_page(codecs: &Sound, ice: &Ice, id: u64) -> String {
    let mut text = head(ice, id, 1, "0");
    let _ = write!(text, "m=audio {} UDP/TLS/RTP/SAVPF", ice.place.port());
    write_codecs(&mut text, codecs);
    write_ice(&mut text, ice, "0", "actpass", Direction::Both);
    text
}

/// The answer to a page's offer: its sound by the codecs in `codecs`, everything else refused.
pub(super) fn answer_for_page(
    offer: &Sound,
    codecs: &Sound,
    ice: &Ice,
    id: u64,
    version: u32,
) -> String {
    let mid = &offer.sections[offer.audio].1;
    let mut text = head(ice, id, version, mid);
    for (at, (line, mid)) in offer.sections.iter().enumerate() {
        if at == offer.audio {
            let _ = write!(text, "m=audio {} UDP/TLS/RTP/SAVPF", ice.place.port());
            write_codecs(&mut text, codecs);
            write_ice(&mut text, ice, mid, "passive", offer.direction.turned());
            continue;
        }
        let mut words = line.splitn(3, ' ');
        let (kind, _, rest) = (words.next(), words.next(), words.next());
        let (kind, rest) = (kind.unwrap_or("video"), rest.unwrap_or("RTP/AVP 0"));
        let _ = write!(
            text,
            "m={kind} 0 {rest}\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\n"
        );
        if !mid.is_empty() {
            let _ = write!(text, "a=mid:{mid}\r\n");
        }
    }
    text
}

fn head(ice: &Ice, id: u64, version: u32, mid: &str) -> String {
    let (family, ip) = (family(ice.place.ip()), ice.place.ip());
    let mut text = String::new();
    let _ = write!(
        text,
        "v=0\r\no=- {id} {version} IN {family} {ip}\r\ns=-\r\nt=0 0\r\na=ice-lite\r\na=group:BUNDLE {mid}\r\na=msid-semantic: WMS *\r\n"
    );
    text
}

fn write_codecs(text: &mut String, sound: &Sound) {
    for codec in &sound.codecs {
        let _ = write!(text, " {}", codec.number);
    }
    text.push_str("\r\n");
    for codec in &sound.codecs {
        let _ = write!(text, "a=rtpmap:{} {}\r\n", codec.number, codec.name);
        if !codec.parameters.is_empty() {
            let _ = write!(text, "a=fmtp:{} {}\r\n", codec.number, codec.parameters);
        }
    }
    text.push_str(&sound.packets);
}

fn write_ice(text: &mut String, ice: &Ice, mid: &str, setup: &str, direction: Direction) {
    let (family, ip, port) = (family(ice.place.ip()), ice.place.ip(), ice.place.port());
    let Ice {
        ufrag,
        password,
        fingerprint,
        ..
    } = ice;
    let _ = write!(
        text,
        "c=IN {family} {ip}\r\na=mid:{mid}\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\na=fingerprint:{fingerprint}\r\n\
         a=setup:{setup}\r\na=rtcp-mux\r\na=msid:phone phone\r\na={}\r\n\
         a=candidate:1 1 udp 2130706431 {ip} {port} typ host\r\na=end-of-candidates\r\n",
        direction.text()
    );
}

fn family(ip: IpAddr) -> &'static str {
    if ip.is_ipv6() { "IP6" } else { "IP4" }
}

#[cfg(test)]
mod tests;
