use js_sys::{Array, Object, Reflect, Uint8Array};
use p2psip::{CallId, Caller, Candidate, Contact, Event};
use wasm_bindgen::JsValue;

/// Makes an event the plain object that `js/wasm.js` describes.
pub(crate) fn to_object(event: Event) -> JsValue {
    match event {
        Event::Associations { up } => Plain::new("associations").with("up", up as u32),
        Event::Welcome { super_nodes, stun } => Plain::new("welcome")
            .with(
                "superNodes",
                super_nodes.into_iter().map(contact).collect::<Array>(),
            )
            .with(
                "stun",
                stun.into_iter().map(JsValue::from).collect::<Array>(),
            ),
        Event::Revocations(list) => {
            Plain::new("revocations").with("bytes", Uint8Array::from(list.to_bytes().as_slice()))
        }
        Event::Online => Plain::new("online"),
        Event::NotOnline => Plain::new("not-online"),
        Event::Offline => Plain::new("offline"),
        Event::Incoming {
            call,
            caller,
            offer,
        } => {
            let instance = caller.instance.to_string();
            Plain::of("incoming", call)
                .caller(caller)
                .with("instance", instance)
                .with("offer", offer)
        }
        Event::Missed { caller } => Plain::new("missed").caller(caller),
        Event::Ringing { call } => Plain::of("ringing", call),
        Event::Answered { call, answer } => Plain::of("answered", call).with("answer", answer),
        Event::Established { call } => Plain::of("established", call),
        Event::Candidates {
            call,
            candidates,
            complete,
        } => Plain::of("candidates", call)
            .with(
                "candidates",
                candidates.into_iter().map(candidate).collect::<Array>(),
            )
            .with("complete", complete),
        Event::Offered { call, offer } => Plain::of("offered", call).with("offer", offer),
        Event::Renegotiated { call, answer } => {
            Plain::of("renegotiated", call).with("answer", answer)
        }
        Event::NotRenegotiated { call, glare } => {
            Plain::of("not-renegotiated", call).with("glare", glare)
        }
        Event::Ended {
            call,
            reason,
            remote,
        } => Plain::of("ended", call)
            .with("reason", reason.code())
            .with("remote", remote),
        Event::Problem(problem) => Plain::new("problem").with("code", problem.code()),
    }
    .0
    .into()
}

/// A plain object under construction.
struct Plain(Object);

impl Plain {
    fn new(kind: &str) -> Self {
        Self(Object::new()).with("type", kind)
    }

    fn of(kind: &str, call: CallId) -> Self {
        Self::new(kind).with("call", call.0 as f64)
    }

    fn caller(self, caller: Caller) -> Self {
        self.with("uri", caller.uri).with("name", caller.name)
    }

    fn with(self, name: &str, value: impl Into<JsValue>) -> Self {
        self.set(name, &value.into())
    }

    fn set(self, name: &str, value: &JsValue) -> Self {
        // Setting a property of a fresh object does not fail.
        let _ = Reflect::set(&self.0, &JsValue::from_str(name), value);
        self
    }
}

fn contact(contact: Contact) -> JsValue {
    let node = contact.node.map(|node| node.to_string());
    Plain(Object::new())
        .with("node", node)
        .with("url", contact.url)
        .0
        .into()
}

fn candidate(candidate: Candidate) -> JsValue {
    Plain(Object::new())
        .with("mid", candidate.mid)
        .with("line", candidate.line)
        .with("ufrag", candidate.ufrag)
        .0
        .into()
}
