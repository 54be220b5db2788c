use p2psip::credential::{
    Certificate, Job, RevocationList, Signature, Signed, TrustAnchor, Verified,
};
use p2psip::{CallId, Candidate, Config, EndReason, Input, LinkId};
use wasm_bindgen::prelude::*;

use crate::driver::Driver;
use crate::host::Host;
#[cfg(debug_assertions)]
use crate::panic;

/// A user on a device. The methods are those of [`p2psip::Peer`], which documents them, and those by which the host
/// reports.
#[wasm_bindgen]
pub struct Peer {
    driver: Driver,
}

#[wasm_bindgen]
impl Peer {
    /// A peer that associates at once, with some of `super_nodes`: the URLs of their WebSockets, with spaces
    /// between.
    ///
    /// None when the root or the certificate is not one of Partyline's.
    pub fn start(
        root: &[u8],
        certificate: &[u8],
        name: Option<String>,
        super_nodes: &str,
        revocations: &[u8],
        host: Host,
    ) -> Option<Self> {
        #[cfg(debug_assertions)]
        panic::report_on_console();
        let anchor = TrustAnchor::read(root).ok()?;
        let certificate = Certificate::read(certificate).ok()?;
        let driver = Driver::start(host, |seed, wall| Config {
            anchor,
            certificate,
            name,
            super_nodes: contacts(super_nodes),
            revocations: RevocationList::read(revocations),
            seed,
            wall,
        });
        Some(Self { driver })
    }

    /// A link that was dialled stands.
    pub fn opened(&self, link: f64) {
        self.driver.tell(Input::Opened { link: flow(link) });
    }

    /// A link is gone, or never came about.
    pub fn closed(&self, link: f64) {
        self.driver.closed(flow(link));
    }

    /// A binary message came.
    pub fn frame(&self, link: f64, bytes: Vec<u8>) {
        let link = flow(link);
        self.driver.tell(Input::Frame { link, bytes });
    }

    /// A text message came.
    pub fn text(&self, link: f64, text: String) {
        let link = flow(link);
        self.driver.tell(Input::Text { link, text });
    }

    /// A signature is made.
    pub fn signed(&self, job: f64, signature: &[u8]) {
        if let Some(signature) = Signature::from_slice(signature) {
            let job = Job(job as u64);
            self.driver.tell(Input::Signed(Signed { job, signature }));
        }
    }

    /// A signature is checked.
    pub fn verified(&self, job: f64, valid: bool) {
        let job = Job(job as u64);
        self.driver.tell(Input::Verified(Verified { job, valid }));
    }

    /// The time has come that the host was to wait for.
    pub fn due(&self) {
        self.driver.due();
    }

    /// Closes every link. Nothing is reported any more, and every method does nothing.
    pub fn close(&self) {
        self.driver.close();
    }

    /// Makes the user callable; `fingerprint` is `sha-256 AB:CD:..`.
    #[wasm_bindgen(js_name = goOnline)]
    pub fn go_online(&self, fingerprint: &str) {
        self.driver
            .run(|peer, now| peer.go_online(fingerprint, now));
    }

    /// Takes the location record back; the event `offline` says when that is done.
    #[wasm_bindgen(js_name = goOffline)]
    pub fn go_offline(&self) {
        self.driver.run(|peer, now| peer.go_offline(now));
    }

    /// Names further super nodes to try: URLs with spaces between.
    #[wasm_bindgen(js_name = addSuperNodes)]
    pub fn add_super_nodes(&self, urls: &str) {
        self.driver
            .run(|peer, now| peer.add_super_nodes(contacts(urls), now));
    }

    /// Takes over a renewed certificate; says no when it is not one of Partyline's.
    #[wasm_bindgen(js_name = setCredential)]
    pub fn set_credential(&self, certificate: &[u8], name: Option<String>) -> bool {
        let Ok(certificate) = Certificate::read(certificate) else {
            return false;
        };
        self.driver
            .run(|peer, now| peer.set_credential(certificate, name, now));
        true
    }

    /// The network has changed or is back, or the device woke up.
    pub fn network(&self) {
        self.driver.tell(Input::Network);
    }

    /// Looks a callee up ahead of a call.
    pub fn warm(&self, target: &str) {
        self.driver.run(|peer, now| peer.warm(target, now));
    }

    /// Calls somebody; the number names the call.
    pub fn call(&self, target: &str) -> f64 {
        self.driver.run(|peer, now| peer.call(target, now)).0 as f64
    }

    /// Gives the offer of an outgoing call.
    pub fn offer(&self, call: f64, sdp: &str) {
        self.driver.run(|peer, now| peer.offer(id(call), sdp, now));
    }

    /// Answers an incoming call, or an offer within a call.
    pub fn answer(&self, call: f64, sdp: &str) {
        self.driver.run(|peer, now| peer.answer(id(call), sdp, now));
    }

    /// Declines an incoming call.
    pub fn decline(&self, call: f64) {
        self.driver.run(|peer, now| peer.decline(id(call), now));
    }

    /// Ends a call in any state.
    #[wasm_bindgen(js_name = hangUp)]
    pub fn hang_up(&self, call: f64) {
        self.driver.run(|peer, now| peer.hang_up(id(call), now));
    }

    /// Ends a call for a reason of this side, an end code of the API.
    pub fn fail(&self, call: f64, code: &str) {
        let reason = EndReason::from_code(code).unwrap_or(EndReason::Failed);
        self.driver
            .run(|peer, now| peer.fail(id(call), reason, now));
    }

    /// Sends one of this side's ICE candidates.
    pub fn candidate(&self, call: f64, mid: String, line: String, ufrag: String) {
        let candidate = Candidate { mid, line, ufrag };
        self.driver
            .run(|peer, now| peer.candidate(id(call), candidate, now));
    }

    /// No more of this side's candidates will come.
    #[wasm_bindgen(js_name = endOfCandidates)]
    pub fn end_of_candidates(&self, call: f64) {
        self.driver
            .run(|peer, now| peer.end_of_candidates(id(call), now));
    }

    /// Offers to renegotiate.
    pub fn renegotiate(&self, call: f64, sdp: &str) {
        self.driver
            .run(|peer, now| peer.renegotiate(id(call), sdp, now));
    }
}

fn id(call: f64) -> CallId {
    CallId(call as u64)
}

fn flow(link: f64) -> LinkId {
    LinkId(link as u64)
}

fn contacts(urls: &str) -> Vec<p2psip::Contact> {
    let mut contacts = Vec::new();
    for url in urls.split_ascii_whitespace() {
        contacts.push(p2psip::Contact {
            node: None,
            url: url.to_owned(),
        });
    }
    contacts
}
