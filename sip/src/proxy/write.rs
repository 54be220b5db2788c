//! Messages written in one pass over the buffer of the one that came.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;
use core::net::{IpAddr, SocketAddr};

use super::place::numeric;
use crate::header::{Address, Via, elements, split_unquoted};
use crate::message::{Message, Name};
use crate::{Peer, Transport, status};

/// What a topmost Via gets from who received it: received and rport (RFC 3261, section 18.2.1, and RFC 3581).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    address: SocketAddr,
    asked: bool,
}

impl Stamp {
    /// The stamp for a request from `source`, if it needs one.
    pub(super) fn of(request: &Message, source: Peer) -> Option<Self> {
        if source.transport == Transport::Inside {
            return None;
        }
        let via = request.via()?;
        let asked = via.parameter("rport").is_some();
        let (host, _) = via.host_and_port();
        let known = numeric(host) == Some(source.address.ip().to_canonical());
        let lied = via.parameter("received").is_some();
        (asked || lied || !known).then_some(Self {
            address: source.address,
            asked,
        })
    }

    /// Appends a Via element with the stamp.
    fn write(self, out: &mut Vec<u8>, via: &str) {
        let (main, mut rest) = split_unquoted(via, b';');
        out.extend_from_slice(main.trim_end().as_bytes());
        while let Some(after) = rest.strip_prefix(';') {
            let (one, next) = split_unquoted(after, b';');
            let name = one.split('=').next().unwrap_or("").trim();
            if !name.eq_ignore_ascii_case("rport") && !name.eq_ignore_ascii_case("received") {
                out.push(b';');
                out.extend_from_slice(one.trim().as_bytes());
            }
            rest = next;
        }
        let mut text = String::new();
        let _ = match self.address.ip() {
            IpAddr::V4(ip) => write!(text, ";received={ip}"),
            IpAddr::V6(ip) => write!(text, ";received={ip}"),
        };
        if self.asked {
            let _ = write!(text, ";rport={}", self.address.port());
        }
        out.extend_from_slice(text.as_bytes());
    }
}

/// Where a response to a request from `source` is sent (RFC 3261, section 18.2.2, and RFC 3581, section 4).
pub(super) fn way_back(request: &Message, source: Peer) -> Peer {
    let mut peer = source;
    if source.transport == Transport::Udp
        && let Some(via) = request.via()
        && via.parameter("rport").is_none()
    {
        let (_, port) = via.host_and_port();
        peer.address.set_port(port.unwrap_or(Transport::Udp.port()));
    }
    peer
}

/// How a request is changed on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Onward<'a> {
    /// The new Request-URI.
    pub(super) uri: &'a str,
    pub(super) transport: Transport,
    pub(super) sent_by: &'a str,
    pub(super) branch: &'a str,
    pub(super) stamp: Option<Stamp>,
    pub(super) hops: u8,
    /// The Max-Breadth, if it is to have one (RFC 5393).
    pub(super) breadth: Option<u8>,
    /// How many of its Route elements are used up.
    pub(super) used: usize,
    /// Route elements to put before those that are left.
    pub(super) route: &'a str,
    /// A Route element to put behind those that are left.
    pub(super) last: &'a str,
    /// Header lines to put on top: Record-Route, Path.
    pub(super) lines: &'a str,
    /// Whether what it says about its sender's identity is believed (RFC 3325).
    pub(super) believed: bool,
}

/// Writes a request as it goes on.
pub(super) fn request(message: &Message, onward: &Onward<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.as_bytes().len() + 384);
    let mut put = |parts: &[&str]| {
        parts
            .iter()
            .for_each(|part| out.extend_from_slice(part.as_bytes()))
    };
    put(&[message.method_text(), " ", onward.uri, " SIP/2.0\r\n"]);
    let via = ["Via: SIP/2.0/", onward.transport.via(), " ", onward.sent_by];
    put(&via);
    put(&[";branch=", onward.branch, "\r\n", onward.lines]);
    if !onward.route.is_empty() {
        put(&["Route: ", onward.route, "\r\n"]);
    }
    let _ = write!(Text(&mut out), "Max-Forwards: {}\r\n", onward.hops);
    if let Some(breadth) = onward.breadth {
        let _ = write!(Text(&mut out), "Max-Breadth: {breadth}\r\n");
    }
    let (mut first_via, mut used) = (true, onward.used);
    for (name, text, value, line) in message.parts() {
        match name {
            Name::MaxForwards => {}
            Name::Via if first_via => {
                first_via = false;
                let Some(stamp) = onward.stamp else {
                    out.extend_from_slice(line.as_bytes());
                    continue;
                };
                let (via, rest) = split_unquoted(value, b',');
                out.extend_from_slice(b"Via: ");
                stamp.write(&mut out, via);
                out.extend_from_slice(rest.as_bytes());
                out.extend_from_slice(b"\r\n");
            }
            Name::Route if used > 0 => {
                let mut rest = elements(value);
                while used > 0 && rest.next().is_some() {
                    used -= 1;
                }
                for one in rest {
                    out.extend_from_slice(b"Route: ");
                    out.extend_from_slice(one.as_bytes());
                    out.extend_from_slice(b"\r\n");
                }
            }
            Name::Other if is_replaced(text, onward) => {}
            _ => out.extend_from_slice(line.as_bytes()),
        }
    }
    if !onward.last.is_empty() {
        for part in ["Route: <", onward.last, ">\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }
    with_body(out, message)
}

/// Ends the header and appends the body of `message`.
fn with_body(mut out: Vec<u8>, message: &Message) -> Vec<u8> {
    if message.field(Name::ContentLength).is_none() {
        let _ = write!(
            Text(&mut out),
            "Content-Length: {}\r\n",
            message.body().len()
        );
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(message.body());
    out
}

/// Says whether a field that has no name of its own here is not passed on.
fn is_replaced(name: &str, onward: &Onward<'_>) -> bool {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    is("Max-Breadth")
        || !onward.believed && (is("P-Asserted-Identity") || is("P-Preferred-Identity"))
}

/// Writes a response as it goes back: without its topmost Via, with another status if that is given, with more header
/// lines.
pub(super) fn response(message: &Message, status: Option<u16>, lines: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.as_bytes().len() + lines.len());
    match status.or(message.status()) {
        Some(code) if status.is_some() => {
            let _ = write!(
                Text(&mut out),
                "SIP/2.0 {code} {}\r\n",
                status::phrase(code)
            );
        }
        Some(code) => {
            let _ = write!(
                Text(&mut out),
                "SIP/2.0 {code} {}\r\n",
                message.reason_phrase()
            );
        }
        None => {}
    }
    let mut first = true;
    for (name, _, value, line) in message.parts() {
        if name == Name::Via && first {
            first = false;
            let (_, rest) = split_unquoted(value, b',');
            if let Some(rest) = rest.strip_prefix(',') {
                for part in ["Via: ", rest.trim_start(), "\r\n"] {
                    out.extend_from_slice(part.as_bytes());
                }
            }
            continue;
        }
        out.extend_from_slice(line.as_bytes());
    }
    out.extend_from_slice(lines.as_bytes());
    with_body(out, message)
}

/// What a response of our own says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reply<'a> {
    pub(super) status: u16,
    /// The To tag, where the request has none.
    pub(super) tag: &'a str,
    /// More header lines.
    pub(super) lines: &'a str,
    /// What is wrong, in words; empty if nothing is.
    pub(super) problem: &'a str,
    /// Who says so.
    pub(super) host: &'a str,
}

/// Writes a response of our own. Of what a request must have once and has twice or not at all, the first is taken.
pub(super) fn reply(request: &Message, stamp: Option<Stamp>, reply: &Reply<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    let phrase = status::phrase(reply.status);
    let _ = write!(Text(&mut out), "SIP/2.0 {} {phrase}\r\n", reply.status);
    let mut seen: [bool; 4] = [false; 4];
    let mut first_via = true;
    for (name, text, value, line) in request.parts() {
        let once = match name {
            Name::Via => {
                if let Some(stamp) = stamp.filter(|_| first_via) {
                    let (via, rest) = split_unquoted(value, b',');
                    out.extend_from_slice(b"Via: ");
                    stamp.write(&mut out, via);
                    out.extend_from_slice(rest.as_bytes());
                    out.extend_from_slice(b"\r\n");
                } else {
                    out.extend_from_slice(line.as_bytes());
                }
                first_via = false;
                continue;
            }
            Name::From => 0,
            Name::To => 1,
            Name::CallId => 2,
            Name::CSeq => 3,
            Name::Other if reply.status == 100 && text.eq_ignore_ascii_case("Timestamp") => {
                out.extend_from_slice(line.as_bytes());
                continue;
            }
            _ => continue,
        };
        if core::mem::replace(&mut seen[once], true) {
            continue;
        }
        let untagged = name == Name::To
            && !reply.tag.is_empty()
            && Address::read(value).is_none_or(|to| to.parameter("tag").is_none());
        if untagged {
            for part in ["To: ", value, ";tag=", reply.tag, "\r\n"] {
                out.extend_from_slice(part.as_bytes());
            }
        } else {
            out.extend_from_slice(line.as_bytes());
        }
    }
    out.extend_from_slice(reply.lines.as_bytes());
    if !reply.problem.is_empty() {
        let (host, problem) = (reply.host, crate::header::quote(reply.problem));
        let _ = write!(Text(&mut out), "Warning: 399 {host} {problem}\r\n");
    }
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    out
}

/// Writes the ACK of a refusal or the CANCEL of a request that was sent: its Request-URI, topmost Via, From, Call-ID, CSeq number
/// and Routes (RFC 3261, sections 9.1 and 17.1.1.3). An ACK has the To of the response.
pub(super) fn follow_up(method: &str, sent: &Message, to: &str, lines: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    let mut put = |parts: &[&str]| {
        parts
            .iter()
            .for_each(|part| out.extend_from_slice(part.as_bytes()))
    };
    put(&[method, " ", sent.request_uri(), " SIP/2.0\r\n"]);
    let via = sent.list(Name::Via).next().unwrap_or("");
    put(&["Via: ", via, "\r\nMax-Forwards: 70\r\n"]);
    for name in [Name::Route, Name::From, Name::CallId] {
        for value in sent.fields(name) {
            put(&[name.as_str(), ": ", value, "\r\n"]);
        }
    }
    put(&["To: ", to, "\r\n", lines]);
    let number = crate::digits(u64::from(sent.number()));
    put(&[
        "CSeq: ",
        &number,
        " ",
        method,
        "\r\nContent-Length: 0\r\n\r\n",
    ]);
    out
}

/// Says whether one of the Vias is this proxy's with the same loop part (RFC 5393, section 4.2).
pub(super) fn was_here(message: &Message, sent_by: impl Fn(&str) -> bool, part: &str) -> bool {
    let mut vias = message.list(Name::Via).filter_map(Via::read);
    vias.any(|via| {
        let ours = via.branch().and_then(|branch| branch.rsplit_once('.'));
        ours.is_some_and(|(_, end)| end == part) && sent_by(via.sent_by)
    })
}

struct Text<'a>(&'a mut Vec<u8>);

impl core::fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
