//! The SIP edge of a super node: where a message goes next.
//!
//! ```text
//! ON --WebSocket--> [ edge of SN1 ] --link--> [ edge of SN3 ] --WebSocket--> ON
//!      From = identity of the flow              Route popped, flow of (user, instance)
//!      Via pushed, token in branch              Via pushed, 100 for an INVITE
//! ```
//! The edge keeps no transaction. Where a response goes stands, authenticated, in the branch of the Via that the edge
//! pushed when the request passed (RFC 3261, section 16.11: a stateless proxy).

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use credential::{Instance, NodeId};

use crate::FlowId;
use crate::header::{Address, Via};
use crate::message::{Composer, Malformed, Message, Method, Name, Rewrite, decimal};
use crate::uri::Uri;

mod token;

use token::Token;

/// The Max-Forwards of a request that brings none (RFC 3261, section 16.6).
const HOPS: u8 = 70;

/// Where a message came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A flow announced by [`Edge::flow_up`].
    Flow(FlowId),
    /// The link to another super node.
    SuperNode(NodeId),
}

/// What to do with a message that was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send it on a flow.
    ToFlow {
        /// The flow.
        flow: FlowId,
        /// The message's bytes.
        message: Vec<u8>,
    },
    /// Send it to another super node; give it to [`Edge::undeliverable`] if that can't be reached.
    ToSuperNode {
        /// The super node.
        node: NodeId,
        /// The message's bytes.
        message: Vec<u8>,
    },
}

/// Why a message was refused or dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is not a SIP message that can be read.
    Malformed,
    /// Its From is not the flow's user (403).
    ForeignFrom,
    /// Its Max-Forwards is used up (483).
    TooManyHops,
    /// It was here before (482).
    Loop,
    /// No flow of that device is up (430).
    FlowFailed,
    /// A response whose Via was not written by this node.
    StrayResponse,
    /// It came from a flow that is not up.
    UnknownFlow,
    /// It names no next hop that this node serves (404).
    NoRoute,
}

impl Refusal {
    /// The response that the sender of a request gets, and the sentence in its Warning.
    const fn answer(self) -> Option<(u16, &'static str)> {
        match self {
            Self::ForeignFrom => Some((403, "From is not the user of this connection")),
            Self::TooManyHops => Some((483, "Max-Forwards is used up")),
            Self::Loop => Some((482, "the request has been here before")),
            Self::FlowFailed => Some((430, "the device is not connected to this super node")),
            Self::NoRoute => Some((404, "the request names no destination of this super node")),
            Self::Malformed | Self::StrayResponse | Self::UnknownFlow => None,
        }
    }
}

/// The SIP edge core of one super node. Holds no transaction: responses find their way by the token in their Via.
#[derive(Debug)]
pub struct Edge {
    node: NodeId,
    host: String,
    secret: [u8; 16],
    flows: BTreeMap<FlowId, Flow>,
    devices: BTreeMap<(String, Instance), FlowId>,
}

#[derive(Debug)]
struct Flow {
    user: Uri,
    device: (String, Instance),
    secure: bool,
}

enum Hop {
    Flow(FlowId),
    SuperNode(NodeId),
}

impl Edge {
    /// The edge of super node `node`; `secret` is drawn anew by every process.
    #[must_use]
    pub fn new(node: NodeId, secret: [u8; 16]) -> Self {
        Self {
            node,
            host: node.host(),
            secret,
            flows: BTreeMap::new(),
            devices: BTreeMap::new(),
        }
    }

    /// Says that `flow` reaches device `instance` of the user `uri` (`sip:alice@example.org`), who proved both.
    /// A newer flow of the same device takes the older one's place. A `uri` that is no SIP URI is ignored.
    pub fn flow_up(&mut self, flow: FlowId, uri: &str, instance: Instance, secure: bool) {
        let Ok(user) = Uri::read(uri) else { return };
        let device = (user.address_of_record(), instance);
        self.devices.insert(device.clone(), flow);
        let flow_state = Flow {
            user,
            device,
            secure,
        };
        self.flows.insert(flow, flow_state);
    }

    /// Says that a flow is gone.
    pub fn flow_down(&mut self, flow: FlowId) {
        if let Some(gone) = self.flows.remove(&flow)
            && self.devices.get(&gone.device) == Some(&flow)
        {
            self.devices.remove(&gone.device);
        }
    }

    /// Takes in one message and appends what is to be done to `actions`.
    ///
    /// # Errors
    /// Says why the message was dropped or refused; the refusal that the sender gets is among the actions.
    pub fn receive(
        &mut self,
        source: Source,
        message: &[u8],
        actions: &mut Vec<Action>,
    ) -> Result<(), Refusal> {
        if let Source::Flow(flow) = source
            && !self.flows.contains_key(&flow)
        {
            return Err(Refusal::UnknownFlow);
        }
        let message = match Message::parse(message.to_vec()) {
            Ok(message) => message,
            Err(Malformed { flaw, request }) => {
                if let Some(request) = request {
                    let mut sentence = String::new();
                    let _ = write!(sentence, "{flaw}");
                    self.answer(source, &request, flaw.status(), Some(&sentence), actions);
                }
                return Err(Refusal::Malformed);
            }
        };
        if !message.is_request() {
            return self.receive_response(source, message, actions);
        }
        let refused = self.receive_request(source, &message, actions);
        if let Err(refusal) = refused
            && let Some((status, sentence)) = refusal.answer()
        {
            self.answer(source, &message, status, Some(sentence), actions);
        }
        refused
    }

    /// Answers for a message that could not be sent to its super node: 503 back to where it came from.
    pub fn undeliverable(&mut self, message: &[u8], actions: &mut Vec<Action>) {
        let Ok(message) = Message::parse(message.to_vec()) else {
            return;
        };
        let Some(source) = self.own_via(&message).filter(|_| message.is_request()) else {
            return;
        };
        if let Ok(message) = Message::parse(Rewrite::new(&message).pop_via().finish()) {
            let sentence = "the next super node can't be reached";
            self.answer(source, &message, 503, Some(sentence), actions);
        }
    }

    fn receive_response(
        &self,
        source: Source,
        message: Message,
        actions: &mut Vec<Action>,
    ) -> Result<(), Refusal> {
        let named = message
            .via()
            .and_then(|via| NodeId::from_host(via.sent_by).ok());
        if let Some(node) = named
            && node != self.node
            && matches!(source, Source::Flow(_))
        {
            // The request came by a super node that its receiver has lost since; that one checks the token.
            let message = message.into_bytes();
            actions.push(Action::ToSuperNode { node, message });
            return Ok(());
        }
        let message = &message;
        let back = self.own_via(message).ok_or(Refusal::StrayResponse)?;
        // A response for this node alone would be to a request that it never sends.
        if message.list(Name::Via).nth(1).is_none() {
            return Err(Refusal::StrayResponse);
        }
        let bytes = Rewrite::new(message).pop_via().finish();
        self.send(back, bytes, actions);
        Ok(())
    }

    fn receive_request(
        &self,
        source: Source,
        message: &Message,
        actions: &mut Vec<Action>,
    ) -> Result<(), Refusal> {
        if let Source::Flow(flow) = source {
            let flow = self.flows.get(&flow).ok_or(Refusal::UnknownFlow)?;
            let from = message.from().and_then(|from| Uri::read(from.uri).ok());
            if !from.is_some_and(|from| from.same_user(&flow.user)) {
                return Err(Refusal::ForeignFrom);
            }
        }
        let hops = message.field(Name::MaxForwards).and_then(decimal);
        let hops = hops.map_or(HOPS, |hops| hops.min(255) as u8);
        if hops == 0 {
            return Err(Refusal::TooManyHops);
        }
        let mine = |via: &str| Via::read(via).is_some_and(|via| self.is_own_host(via.sent_by));
        if message.list(Name::Via).any(mine) {
            return Err(Refusal::Loop);
        }
        let (hop, pop) = self.next_hop(source, message)?;
        let rewrite = Rewrite::new(message).max_forwards(hops - 1);
        let rewrite = if pop { rewrite.pop_route() } else { rewrite };
        let branch = Token::for_request(source, message).branch(&self.secret, message);
        let transport = match hop {
            Hop::Flow(flow) => match self.flows.get(&flow) {
                Some(Flow { secure: false, .. }) => "WS",
                Some(_) | None => "WSS",
            },
            Hop::SuperNode(_) => "QUIC",
        };
        let via = Via::write(transport, &self.host, &branch);
        let bytes = rewrite.push_via(&via).finish();
        match hop {
            Hop::Flow(flow) => {
                if message.method() == Method::Invite {
                    self.answer(source, message, 100, None, actions);
                }
                actions.push(Action::ToFlow {
                    flow,
                    message: bytes,
                });
            }
            Hop::SuperNode(node) => actions.push(Action::ToSuperNode {
                node,
                message: bytes,
            }),
        }
        Ok(())
    }

    /// Chooses the next hop, and says whether the topmost Route was this node's own.
    fn next_hop(&self, source: Source, message: &Message) -> Result<(Hop, bool), Refusal> {
        let mut routes = message.list(Name::Route).map(route);
        let mut top = routes.next();
        let pop = top == Some(Some(self.node));
        if pop {
            top = routes.next();
        }
        match top {
            // Only a node's own users may send a request on to a third.
            Some(Some(node)) if node != self.node && matches!(source, Source::Flow(_)) => {
                Ok((Hop::SuperNode(node), pop))
            }
            Some(_) => Err(Refusal::NoRoute),
            None => {
                let target = Uri::read(message.request_uri()).map_err(|_| Refusal::NoRoute)?;
                let instance = target.instance().ok_or(Refusal::NoRoute)?;
                let device = (target.address_of_record(), instance);
                let flow = self.devices.get(&device).ok_or(Refusal::FlowFailed)?;
                Ok((Hop::Flow(*flow), pop))
            }
        }
    }

    /// Reads the token in a topmost Via of this node: where the request came from.
    fn own_via(&self, message: &Message) -> Option<Source> {
        let via = message.via()?;
        if !self.is_own_host(via.sent_by) {
            return None;
        }
        Token::read(via.branch()?, &self.secret, message).map(|token| token.source())
    }

    fn is_own_host(&self, host: &str) -> bool {
        host.eq_ignore_ascii_case(&self.host)
    }

    fn answer(
        &self,
        to: Source,
        request: &Message,
        status: u16,
        warning: Option<&str>,
        actions: &mut Vec<Action>,
    ) {
        if request.method() == Method::Ack {
            return;
        }
        // The tag need not be kept: no dialog comes of it (RFC 3261, section 8.2.7).
        let tag = if status == 100 { "" } else { "edge" };
        let mut composer = Composer::response(request, status, tag);
        if let Some(sentence) = warning {
            let mut text = String::new();
            let _ = write!(text, "399 {} \"{sentence}\"", self.host);
            composer = composer.header("Warning", &text);
        }
        self.send(to, composer.finish(), actions);
    }

    fn send(&self, to: Source, message: Vec<u8>, actions: &mut Vec<Action>) {
        match to {
            // Nobody waits at the end of a flow that has gone meanwhile.
            Source::Flow(flow) if !self.flows.contains_key(&flow) => {}
            Source::Flow(flow) => actions.push(Action::ToFlow { flow, message }),
            Source::SuperNode(node) => actions.push(Action::ToSuperNode { node, message }),
        }
    }
}

/// The super node that a Route names.
fn route(text: &str) -> Option<NodeId> {
    let uri = Uri::read(Address::read(text)?.uri).ok()?;
    NodeId::from_host(uri.host()).ok()
}
