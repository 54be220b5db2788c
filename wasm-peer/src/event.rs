use p2psip::{CallId, Caller, Event};

use crate::host::Host;

/// Hands an event over piece by piece; `js/events.js` makes the object of it that `js/wasm.js` describes.
pub(crate) fn deliver(event: Event, host: &Host) {
    let (kind, call, number, texts) = match event {
        Event::Associations { up } => ("associations", NONE, up as u32, vec![]),
        Event::Welcome { super_nodes, stun } => {
            let urls = super_nodes.into_iter().map(|contact| contact.url);
            let count = urls.len() as u32;
            ("welcome", NONE, count, urls.chain(stun).collect())
        }
        Event::Revocations(list) => return host.revocations(&list.to_bytes()),
        Event::Online => ("online", NONE, 0, vec![]),
        Event::NotOnline => ("not-online", NONE, 0, vec![]),
        Event::Offline => ("offline", NONE, 0, vec![]),
        Event::Incoming {
            call,
            caller,
            offer,
        } => {
            let instance = caller.instance.to_string();
            let [uri, name] = party(caller);
            ("incoming", call, 0, vec![uri, name, instance, offer])
        }
        Event::Missed { caller } => ("missed", NONE, 0, party(caller).into()),
        Event::Ringing { call } => ("ringing", call, 0, vec![]),
        Event::Answered { call, answer } => ("answered", call, 0, vec![answer]),
        Event::Established { call } => ("established", call, 0, vec![]),
        Event::Candidates {
            call,
            candidates,
            complete,
        } => {
            let candidates = candidates.into_iter();
            let texts = candidates.flat_map(|one| [one.mid, one.line, one.ufrag]);
            ("candidates", call, complete.into(), texts.collect())
        }
        Event::Offered { call, offer } => ("offered", call, 0, vec![offer]),
        Event::Renegotiated { call, answer } => ("renegotiated", call, 0, vec![answer]),
        Event::NotRenegotiated { call, glare } => ("not-renegotiated", call, glare.into(), vec![]),
        Event::Ended {
            call,
            reason,
            remote,
        } => ("ended", call, remote.into(), vec![reason.code().to_owned()]),
        Event::Problem(problem) => ("problem", NONE, 0, vec![problem.code().to_owned()]),
    };
    host.event(kind, call.0 as f64, number.into(), texts);
}

/// An event that belongs to no call.
const NONE: CallId = CallId(0);

fn party(caller: Caller) -> [String; 2] {
    [caller.uri, caller.name.unwrap_or_default()]
}
