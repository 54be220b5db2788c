//! What a request's Routes say, and what is wrong with a request (RFC 3261, sections 16.3 and 16.4).

use alloc::string::String;
use alloc::vec::Vec;

use super::context::Routes;
use super::place::{Place, number, numeric};
use super::token::{self, Purpose};
use super::{Proxy, place, write};
use crate::header::Address;
use crate::message::{Framing, Message, Method, Name};
use crate::{Peer, Transport, siphash};

/// Where a request goes, as far as it says so itself.
#[derive(Debug)]
pub(super) enum Way {
    /// On a flow that a token of ours names.
    Flow(Peer),
    /// Where its next Route or its Request-URI says: it belongs to a dialog that went through here.
    Onward,
    /// Somebody is to be asked.
    Ask {
        /// Whether the Request-URI is in an own domain.
        own: bool,
    },
    /// To this proxy itself.
    Here,
}

/// Why a request is refused.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) lines: String,
    pub(super) problem: &'static str,
}

impl Refusal {
    const fn new(status: u16, problem: &'static str) -> Self {
        Self {
            status,
            lines: String::new(),
            problem,
        }
    }
}

impl Proxy {
    /// Checks a request and reads its Routes.
    pub(super) fn admit(&self, request: &Message, source: Peer) -> Result<(Routes, Way), Refusal> {
        let uri = request.request_uri();
        let scheme = uri.split(':').next().unwrap_or("");
        if !scheme.eq_ignore_ascii_case("sip") && !scheme.eq_ignore_ascii_case("sips") {
            return Err(Refusal::new(416, "the Request-URI is no SIP URI"));
        }
        let malformed = Refusal::new(400, "malformed Request-URI");
        let target = place(uri).ok_or(malformed)?;
        if !target.headers.is_empty() {
            return Err(Refusal::new(400, "the Request-URI has headers"));
        }
        if request.field(Name::MaxForwards).and_then(number) == Some(0) {
            return Err(Refusal::new(483, "Max-Forwards is used up"));
        }
        let part = self.loop_part(request);
        if write::was_here(request, |sent_by| self.is_own_name(sent_by), &part) {
            return Err(Refusal::new(482, "the request has been here before"));
        }
        let method = request.method();
        let required: Vec<&str> = request.list(Name::ProxyRequire).collect();
        if !required.is_empty() && !matches!(method, Method::Ack | Method::Cancel) {
            let mut refusal =
                Refusal::new(420, "Proxy-Require names what this proxy does not know");
            refusal.lines = crate::joined(&["Unsupported: ", &required.join(", "), "\r\n"]);
            return Err(refusal);
        }
        let (used, known) = self.own_routes(request);
        let routes = Routes {
            used,
            part,
            back: flow_back(request, source),
        };
        let left = request.list(Name::Route).count() > used;
        let own = self.is_own(&target);
        let way = match known {
            Some(Some(flow)) if flow != source => Way::Flow(flow),
            Some(_) if left || !own => Way::Onward,
            _ if !left && own && target.user.is_empty() => Way::Here,
            _ => Way::Ask { own: own && !left },
        };
        Ok((routes, way))
    }

    /// How many Routes at the front are this proxy's own, and what the last of them with a token says.
    fn own_routes(&self, request: &Message) -> (usize, Option<Option<Peer>>) {
        let (mut used, mut known) = (0, None);
        let secret = &self.config.lasting;
        for route in request.list(Name::Route) {
            let uri = Address::read(route).map_or("", |route| route.uri);
            let Some(place) = place(uri).filter(|place| self.is_own(place)) else {
                break;
            };
            used += 1;
            if place.user.is_empty() {
                continue;
            }
            let dialog = token::read(place.user, Purpose::Dialog(request.call_id()), secret);
            // A Path's token names the flow of a registered contact: it says where to, and proves nothing about the sender.
            let path = || token::read(place.user, Purpose::Path, secret).filter(Option::is_some);
            known = dialog.or_else(path).or(known);
        }
        (used, known)
    }

    /// The request as a loose router would have sent it, if it comes from a strict one: that put our Record-Route into the Request-URI
    /// and the target behind the Routes (RFC 3261, section 16.4).
    pub(super) fn unstrict(&self, request: &Message) -> Option<Message> {
        let place = place(request.request_uri())?;
        let token = Purpose::Dialog(request.call_id());
        if place.user.is_empty() || !self.is_own(&place) {
            return None;
        }
        token::read(place.user, token, &self.config.lasting)?;
        let mut routes: Vec<&str> = request.list(Name::Route).collect();
        let target = Address::read(routes.pop()?)?.uri;
        let own = crate::joined(&["<", request.request_uri(), ">"]);
        routes.insert(0, &own);
        let mut text = Vec::with_capacity(request.as_bytes().len() + 128);
        let mut put = |part: &str| text.extend_from_slice(part.as_bytes());
        for part in [request.method_text(), " ", target, " SIP/2.0\r\nRoute: "] {
            put(part);
        }
        put(&routes.join(", "));
        put("\r\n");
        for (name, line) in request.lines() {
            if name != Name::Route {
                put(line);
            }
        }
        put("\r\n");
        text.extend_from_slice(request.body());
        Message::read(text, Framing::Frame).ok()
    }

    /// Says whether a URI's host is this proxy or a domain of its own.
    pub(super) fn is_own(&self, place: &Place<'_>) -> bool {
        let mut domains = self.config.domains.iter();
        let port = place.port;
        if domains.any(|domain| domain.eq_ignore_ascii_case(place.host)) {
            let ours = |port| self.config.listeners.iter().any(|one| one.port == port);
            return port.is_none_or(ours) || matches!(port, Some(5060 | 5061));
        }
        let mut listeners = self.config.listeners.iter();
        listeners.any(|one| {
            let usual = if place.secure {
                5061
            } else {
                one.transport.port()
            };
            is_host(&one.host, place.host) && one.port == port.unwrap_or(usual)
        })
    }

    /// Says whether a Via's sent-by is one of this proxy's.
    fn is_own_name(&self, sent_by: &str) -> bool {
        let mut listeners = self.config.listeners.iter();
        listeners.any(|one| {
            self.sent_by(one.transport, false) == sent_by
                || self.sent_by(one.transport, true) == sent_by
        })
    }

    /// What this proxy calls itself in a Via by this transport, towards an address of that family.
    pub(super) fn sent_by(&self, transport: Transport, six: bool) -> String {
        let all = &self.config.listeners;
        let same = |one: &&super::Listener| one.transport == transport;
        let family = |one: &&super::Listener| one.host.starts_with('[') == six;
        let best = all.iter().find(|one| same(one) && family(one));
        let Some(one) = best.or_else(|| all.iter().find(same)).or(all.first()) else {
            return String::from("localhost");
        };
        let port = crate::digits(u64::from(one.port));
        crate::joined(&[&one.host, ":", &port])
    }

    /// A hash of all that decides where a request goes: if it comes again with the same, it goes round (RFC 5393, section 4.2.2).
    pub(super) fn loop_part(&self, request: &Message) -> String {
        let number = request.number().to_be_bytes();
        let mut parts: Vec<&[u8]> = Vec::with_capacity(16);
        parts.extend([&b"l"[..], &number]);
        let texts = [
            request.request_uri(),
            request.call_id(),
            request.from_tag(),
            request.to_tag(),
        ];
        parts.extend(texts.iter().flat_map(|text| [text.as_bytes(), b"\n"]));
        for name in [Name::Route, Name::ProxyRequire] {
            parts.extend(request.fields(name).map(str::as_bytes));
        }
        parts.extend(request.named("Proxy-Authorization").map(str::as_bytes));
        alloc::format!("{:016x}", siphash::hash(&self.config.secret, &parts))
    }

    /// The To tag of this proxy's own responses to a request, the same in each and in the ACK.
    pub(super) fn tag(&self, request: &Message) -> String {
        let number = request.number().to_be_bytes();
        let (call, tag) = (request.call_id(), request.from_tag());
        let parts = [&b"t"[..], call.as_bytes(), b"\n", tag.as_bytes(), &number];
        alloc::format!("{:016x}", siphash::hash(&self.config.secret, &parts))
    }
}

pub(super) fn is_host(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
        || matches!((numeric(one), numeric(other)), (Some(one), Some(other)) if one == other)
}

/// The flow on which a request's sender has to be reached inside the dialog: it is a client of ours whose own address won't do.
fn flow_back(request: &Message, source: Peer) -> Option<Peer> {
    if request.list(Name::Via).count() > 1 {
        return None;
    }
    if source.connection != 0 || source.transport == Transport::Inside {
        return Some(source);
    }
    let contact = place(request.contact()?.uri)?;
    let via = request.via()?;
    let (host, port) = via.host_and_port();
    let named = is_host(contact.host, host) && contact.port.unwrap_or(5060) == port.unwrap_or(5060);
    let true_name = numeric(host) == Some(source.address.ip().to_canonical())
        && port.unwrap_or(5060) == source.address.port();
    (named && !true_name).then_some(source)
}
