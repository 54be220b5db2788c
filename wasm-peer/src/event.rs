use p2psip::{CallId, Caller, Event};

use crate::host::Host;

/// Hands an event over piece by piece; `js/events.js` makes the object of it that `js/wasm.js` describes.
pub(crate) fn deliver(event: Event, host: &Host) {
    let (kind, call, number) = match event {
        Event::Associations { up } => ("associations", NONE, up as u32),
        Event::Welcome { super_nodes, stun } => {
            for contact in &super_nodes {
                host.with(&contact.url);
            }
            for server in &stun {
                host.with(server);
            }
            ("welcome", NONE, super_nodes.len() as u32)
        }
        Event::Revocations(list) => return host.revocations(&list.to_bytes()),
        Event::Online => ("online", NONE, 0),
        Event::NotOnline => ("not-online", NONE, 0),
        Event::Offline => ("offline", NONE, 0),
        Event::Incoming {
            call,
            caller,
            offer,
        } => {
            with_party(&caller, host);
            host.with(&caller.instance.urn());
            host.with(&offer);
            ("incoming", call, caller.bridged.into())
        }
        Event::Missed { caller } => {
            with_party(&caller, host);
            ("missed", NONE, 0)
        }
        Event::Ringing { call } => ("ringing", call, 0),
        Event::Answered {
            call,
            answer,
            bridged,
        } => {
            host.with(&answer);
            ("answered", call, bridged.into())
        }
        Event::Established { call } => ("established", call, 0),
        Event::Candidates {
            call,
            candidates,
            complete,
        } => {
            for one in &candidates {
                host.with(&one.mid);
                host.with(&one.line);
                host.with(&one.ufrag);
            }
            ("candidates", call, complete.into())
        }
        Event::Offered { call, offer } => {
            host.with(&offer);
            ("offered", call, 0)
        }
        Event::Renegotiated { call, answer } => {
            host.with(&answer);
            ("renegotiated", call, 0)
        }
        Event::NotRenegotiated { call, glare } => ("not-renegotiated", call, glare.into()),
        Event::Ended {
            call,
            reason,
            remote,
        } => {
            host.with(reason.code());
            ("ended", call, remote.into())
        }
        Event::Problem(problem) => {
            host.with(problem.code());
            ("problem", NONE, 0)
        }
    };
    host.event(kind, call.0 as f64, number.into());
}

/// An event that belongs to no call.
const NONE: CallId = CallId(0);

fn with_party(caller: &Caller, host: &Host) {
    host.with(&caller.uri);
    host.with(caller.name.as_deref().unwrap_or_default());
}
