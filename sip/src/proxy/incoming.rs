use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use machine::Instant;

use super::context::{Context, PATIENCE, Routes};
use super::place::number;
use super::route::{Refusal, Way};
use super::write::{Reply, Stamp};
use super::{Event, Output, Proxy, Target, write};
use crate::Peer;
use crate::message::{Message, Method, Name};
use crate::transaction::{Kind, Server};

/// The Max-Breadth of a request that brings none (RFC 5393, section 5.3.3.1).
const BREADTH: u8 = 60;

impl Proxy {
    pub(super) fn take_request(&mut self, source: Peer, request: Message, now: Instant) {
        let method = request.method();
        let key = self.key(&request);
        let known = self.find(key);
        if method == Method::Cancel {
            return self.take_cancel(source, &request, known, now);
        }
        if let Some(index) = known
            && self.take_again(index, method, now)
        {
            return;
        }
        let is_ack = method == Method::Ack;
        if is_ack && request.to_tag() == self.tag(&request) {
            // It acknowledges a refusal that had no transaction.
            return;
        }
        let request = self.unstrict(&request).unwrap_or(request);
        let admitted = self.admit(&request, source);
        match admitted {
            Err(_) if is_ack => {}
            Err(Refusal {
                status,
                lines,
                problem,
            }) => {
                self.reply(&request, source, status, &lines, problem);
            }
            Ok((_, Way::Here)) => self.take_own(source, request),
            Ok(_) if self.requests() >= self.config.requests => {
                if !is_ack {
                    let problem = "too many requests at once";
                    self.reply(&request, source, 503, "Retry-After: 10\r\n", problem);
                }
            }
            Ok((routes, way)) => self.begin(source, request, key, routes, way, now),
        }
    }

    /// A request that was here before; false if an ACK is one of another transaction after all.
    fn take_again(&mut self, index: u32, method: Method, now: Instant) -> bool {
        let Some(context) = self.context(index) else {
            return false;
        };
        let Some(server) = &mut context.server else {
            return method != Method::Ack;
        };
        if method == Method::Ack {
            let absorbed = server.acknowledge(now);
            if absorbed {
                context.last = None;
                self.settle(index, now);
            }
            return absorbed;
        }
        if server.receive_again()
            && let Some(message) = context.last.clone()
        {
            let peer = context.upstream;
            self.outbox.push(Output::Send { peer, message });
        }
        true
    }

    fn take_cancel(&mut self, source: Peer, cancel: &Message, known: Option<u32>, now: Instant) {
        let Some(index) = known.filter(|index| {
            self.slots[*index as usize]
                .context
                .as_deref()
                .is_some_and(|one| one.kind == Kind::Invite)
        }) else {
            return self.reply(
                cancel,
                source,
                481,
                "",
                "there is no such request to cancel",
            );
        };
        self.reply(cancel, source, 200, "", "");
        let reasons = cancel.fields(Name::Reason);
        let lines: String = reasons
            .flat_map(|reason| ["Reason: ", reason, "\r\n"])
            .collect();
        let Some(context) = self.context(index) else {
            return;
        };
        if context.is_answered {
            return;
        }
        context.is_cancelled = true;
        context.waiting.clear();
        context.asked = None;
        self.cancel_branches(index, &lines, now);
        self.conclude(index, now);
        self.settle(index, now);
    }

    /// A request for this proxy itself.
    fn take_own(&mut self, source: Peer, request: Message) {
        match request.method() {
            Method::Register => self.outbox.push(Output::Register { source, request }),
            Method::Options => {
                let lines = "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER\r\nAccept: */*\r\n\
                             Supported: path, outbound, gruu\r\n";
                self.reply(&request, source, 200, lines, "");
            }
            Method::Ack => {}
            Method::Other => self.reply(
                &request,
                source,
                501,
                "",
                "this server does not know the method",
            ),
            Method::Invite
            | Method::Cancel
            | Method::Bye
            | Method::Prack
            | Method::Update
            | Method::Info => {
                self.reply(&request, source, 404, "", "the Request-URI names no user");
            }
        }
    }

    fn begin(
        &mut self,
        source: Peer,
        request: Message,
        key: u64,
        routes: Routes,
        way: Way,
        now: Instant,
    ) {
        let method = request.method();
        let kind = match method {
            Method::Invite | Method::Ack => Kind::Invite,
            _ => Kind::Other,
        };
        let is_ack = method == Method::Ack;
        let upstream = write::way_back(&request, source);
        let stamp = Stamp::of(&request, source);
        let breadth = request
            .named("Max-Breadth")
            .next()
            .map(|text| number(text).unwrap_or(u8::MAX));
        let reliable = upstream.transport.is_reliable();
        let uri = String::from(request.request_uri());
        let trying = (method == Method::Invite).then(|| {
            let reply = Reply {
                status: 100,
                tag: "",
                lines: "",
                problem: "",
                host: "",
            };
            write::reply(&request, stamp, &reply)
        });
        let index = self.insert(Context {
            key,
            kind,
            is_ack,
            server: (!is_ack).then(|| Server::new(kind, reliable)),
            request: Some(Box::new(request)),
            source,
            upstream,
            stamp,
            last: None,
            asked: None,
            routes,
            waiting: Vec::new(),
            branches: Vec::new(),
            best: None,
            challenges: Vec::new(),
            is_cancelled: false,
            is_answered: false,
            breadth: breadth.unwrap_or(BREADTH),
            scheduled: None,
        });
        if let Some(trying) = trying {
            self.send_back(index, 100, trying, now);
        }
        let mut target = Target::new(&uri);
        match way {
            Way::Flow(flow) => target.flow = Some(flow),
            Way::Onward | Way::Here => {}
            Way::Ask { own } => {
                if let Some(context) = self.context(index) {
                    context.asked = Some(now + PATIENCE);
                }
                let lookup = self.lookup(index, u8::MAX);
                self.outbox.push(Output::Locate {
                    lookup,
                    uri,
                    source,
                    own,
                });
                return self.settle(index, now);
            }
        }
        if let Some(context) = self.context(index) {
            context.waiting.push(target);
        }
        self.start(index, now);
        self.settle(index, now);
    }

    /// Answers a request that has a transaction.
    pub(super) fn answer(
        &mut self,
        index: u32,
        status: u16,
        lines: &str,
        problem: &str,
        now: Instant,
    ) {
        let Some(context) = self.slots[index as usize].context.as_deref() else {
            return;
        };
        let Some(request) = context
            .request
            .as_deref()
            .filter(|_| context.server.is_some())
        else {
            return;
        };
        let tag = self.tag(request);
        let reply = Reply {
            status,
            tag: &tag,
            lines,
            problem,
            host: self.host(),
        };
        let message = write::reply(request, context.stamp, &reply);
        let source = context.source;
        self.send_back(index, status, message, now);
        if status >= 300 {
            self.outbox
                .push(Output::Event(Event::Refused { source, status }));
        }
    }
}
