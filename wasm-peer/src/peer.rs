use std::rc::Rc;

use p2psip::credential::{Certificate, NodeId, RevocationList, TrustAnchor};
use p2psip::{CallId, Candidate, Config, EndReason, Input};
use wasm_bindgen::prelude::*;

use crate::crypto::{self, Crypto, CryptoKey};
use crate::driver::Driver;
use crate::panic;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = "
export interface Contact { node?: string | null; url: string }
export interface Settings {
  root: Uint8Array; certificate: Uint8Array; key: CryptoKey; name?: string | null;
  superNodes: Contact[]; revocations?: Uint8Array | null;
}";

#[wasm_bindgen]
extern "C" {
    /// What a peer starts from, an object literal of the caller's.
    #[wasm_bindgen(typescript_type = "Settings")]
    pub type Settings;
    #[wasm_bindgen(method, getter, structural)]
    fn root(this: &Settings) -> Vec<u8>;
    #[wasm_bindgen(method, getter, structural)]
    fn certificate(this: &Settings) -> Vec<u8>;
    #[wasm_bindgen(method, getter, structural)]
    fn key(this: &Settings) -> CryptoKey;
    #[wasm_bindgen(method, getter, structural)]
    fn name(this: &Settings) -> Option<String>;
    #[wasm_bindgen(method, getter, structural, js_name = superNodes)]
    fn super_nodes(this: &Settings) -> js_sys::Array;
    #[wasm_bindgen(method, getter, structural)]
    fn revocations(this: &Settings) -> Option<Vec<u8>>;

    /// Where a super node is reached.
    #[wasm_bindgen(typescript_type = "Contact")]
    pub type Contact;
    #[wasm_bindgen(method, getter, structural)]
    fn node(this: &Contact) -> Option<String>;
    #[wasm_bindgen(method, getter, structural)]
    fn url(this: &Contact) -> String;
}

/// A user on a device. The methods are those of [`p2psip::Peer`], which documents them; events are the objects
/// described in `js/wasm.js`.
#[wasm_bindgen]
pub struct Peer {
    driver: Rc<Driver>,
}

#[wasm_bindgen]
impl Peer {
    /// A peer that associates at once and reports to `listener`.
    ///
    /// # Errors
    /// When the root or the certificate is not one of Partyline's.
    #[wasm_bindgen(constructor)]
    pub fn new(settings: Settings, listener: js_sys::Function) -> Result<Self, JsError> {
        panic::report_on_console();
        let anchor = TrustAnchor::read(&settings.root())
            .map_err(|_| JsError::new("bad root certificate"))?;
        let certificate = Certificate::read(&settings.certificate())
            .map_err(|_| JsError::new("bad certificate"))?;
        let driver = Driver::start(
            |clock| Config {
                anchor,
                certificate,
                name: settings.name(),
                super_nodes: contacts(&settings.super_nodes()),
                revocations: settings
                    .revocations()
                    .and_then(|bytes| RevocationList::read(&bytes)),
                seed: crypto::seed(),
                wall: clock.wall(),
            },
            Crypto::new(settings.key()),
            listener,
        );
        Ok(Self { driver })
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

    /// Names further super nodes to try.
    #[wasm_bindgen(js_name = addSuperNodes)]
    pub fn add_super_nodes(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Contact[]")] super_nodes: js_sys::Array,
    ) {
        let contacts = contacts(&super_nodes);
        self.driver
            .run(|peer, now| peer.add_super_nodes(contacts, now));
    }

    /// Takes over a renewed certificate.
    ///
    /// # Errors
    /// When it is not one of Partyline's.
    #[wasm_bindgen(js_name = setCredential)]
    pub fn set_credential(&self, certificate: &[u8], name: Option<String>) -> Result<(), JsError> {
        let certificate =
            Certificate::read(certificate).map_err(|_| JsError::new("bad certificate"))?;
        self.driver
            .run(|peer, now| peer.set_credential(certificate, name, now));
        Ok(())
    }

    /// The network has changed or is back, or the device woke up.
    pub fn network(&self) {
        self.driver
            .run(|peer, now| machine::Machine::handle_input(peer, Input::Network, now));
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

    /// Refuses an offer within a call.
    #[wasm_bindgen(js_name = refuseOffer)]
    pub fn refuse_offer(&self, call: f64) {
        self.driver
            .run(|peer, now| peer.refuse_offer(id(call), now));
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

fn contacts(contacts: &js_sys::Array) -> Vec<p2psip::Contact> {
    let read = |contact: JsValue| {
        let contact: Contact = contact.unchecked_into();
        p2psip::Contact {
            node: contact.node().and_then(|node| node.parse::<NodeId>().ok()),
            url: contact.url(),
        }
    };
    contacts.iter().map(read).collect()
}
