//! What a phone's line needs of the world: links to this super node, signatures, sockets for sound.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use credential::{Signed, Verified};
use machine::{Instant, Machine};
use p2psip::{
    CallId, Input, LineInput, LineOutput, LinkId, Output, PhoneLine, Plan, SuperNodeInput,
};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use super::phones::{Arrival, Shared};
use crate::crypto;
use crate::driver;
use crate::media::{Opened, Session};
use crate::outlet::outlet;

/// Messages that may wait for one line.
const QUEUE: usize = 256;

/// One phone's line and all that belongs to it.
pub(super) struct Line {
    pub(super) machine: PhoneLine,
    pub(super) until: u64,
    /// When it has something to do, as far as that was noted.
    pub(super) due: Option<Instant>,
    aor: Arc<str>,
    /// The line's name of each link, and the super node's.
    links: HashMap<LinkId, LinkId>,
    sessions: HashMap<CallId, Session>,
}

impl Line {
    pub(super) fn new(aor: Arc<str>, machine: PhoneLine, until: u64) -> Self {
        Self {
            machine,
            until,
            due: None,
            aor,
            links: HashMap::new(),
            sessions: HashMap::new(),
        }
    }

    pub(super) fn input(&mut self, input: LineInput, shared: &Shared) {
        self.machine.handle_input(input, shared.clock.now());
    }

    /// Does what the machine wants; what is for the proxy comes back. `hosts` is where the phone's SIP comes from.
    pub(super) fn drain(&mut self, shared: &Shared, hosts: &[IpAddr]) -> Vec<Vec<u8>> {
        let mut sip = Vec::new();
        while let Some(output) = self.machine.poll_output() {
            match output {
                LineOutput::Sip(message) => sip.push(message),
                LineOutput::Peer(output) => self.perform(output, shared),
                LineOutput::Open { call } => self.open(call, shared),
                LineOutput::Connect { call, plan } => self.connect(call, plan, hosts),
                LineOutput::Close { call } => drop(self.sessions.remove(&call)),
                LineOutput::Online(true) => {
                    tracing::info!(aor = %self.aor, "phone's record placed")
                }
                LineOutput::Online(false) => {
                    tracing::info!(aor = %self.aor, "phone's record can't be placed now");
                }
            }
        }
        sip
    }

    /// A link of this line has ended.
    pub(super) fn closed(&mut self, link: LinkId, shared: &Shared) {
        if let Some(number) = self.links.remove(&link) {
            shared.tell(SuperNodeInput::Closed { link: number });
            self.input(LineInput::Peer(Input::Closed { link }), shared);
        }
    }

    fn perform(&mut self, output: Output, shared: &Shared) {
        let answer = match output {
            Output::Dial { link, url } => self.dial(link, &url, shared),
            Output::Close { link } => {
                if let Some(number) = self.links.remove(&link) {
                    shared.tell(SuperNodeInput::Closed { link: number });
                }
                return;
            }
            Output::Frame { link, bytes } => match self.links.get(&link) {
                Some(&link) => return shared.tell(SuperNodeInput::Frame { link, bytes }),
                None => return,
            },
            Output::Text { link, text } => match self.links.get(&link) {
                Some(&link) => return shared.tell(SuperNodeInput::Text { link, text }),
                None => return,
            },
            Output::Sign(sign) => Input::Signed(Signed {
                job: sign.job,
                signature: shared.key.sign(&sign.message),
            }),
            Output::Verify(verify) => Input::Verified(Verified {
                job: verify.job,
                valid: crypto::verify(&verify.key, &verify.message, &verify.signature),
            }),
            Output::Event(_) => return,
        };
        self.input(LineInput::Peer(answer), shared);
    }

    /// Opens a link inside the node. There is none to other super nodes: the phone is registered here.
    fn dial(&mut self, link: LinkId, url: &str, shared: &Shared) -> Input {
        if url != shared.url {
            return Input::Closed { link };
        }
        let number = LinkId(shared.door.numbers.fetch_add(1, Ordering::Relaxed));
        let (outlet, mut drain) = outlet(QUEUE);
        let opened = driver::Arrival::Associated {
            link: number,
            secure: true,
            outlet,
        };
        if shared.door.arrivals.try_send(opened).is_err() {
            return Input::Closed { link };
        }
        self.links.insert(link, number);
        let (arrivals, aor): (mpsc::Sender<Arrival>, _) =
            (shared.arrivals.clone(), self.aor.clone());
        tokio::spawn(async move {
            while let Some(message) = drain.next().await {
                let input = match message {
                    Message::Binary(bytes) => Input::Frame {
                        link,
                        bytes: bytes.to_vec(),
                    },
                    Message::Text(text) => Input::Text {
                        link,
                        text: text.to_string(),
                    },
                    _ => continue,
                };
                let aor = aor.clone();
                if arrivals.send(Arrival::Peer { aor, input }).await.is_err() {
                    return;
                }
            }
            let _ = arrivals.send(Arrival::Closed { aor, link }).await;
        });
        Input::Opened { link }
    }

    fn open(&mut self, call: CallId, shared: &Shared) {
        let (arrivals, aor) = (shared.arrivals.clone(), self.aor.clone());
        let lost = move || {
            let _ = arrivals.try_send(Arrival::Lost { aor, call });
        };
        let opened = Session::open(shared.listen, shared.host, &shared.keys, shared.clock, lost);
        match opened {
            Ok(Opened {
                session,
                ice,
                phone,
            }) => {
                self.sessions.insert(call, session);
                self.input(LineInput::Opened { call, ice, phone }, shared);
            }
            Err(error) => {
                tracing::warn!("no ports for a call's sound: {error}");
                self.input(LineInput::Lost { call }, shared);
            }
        }
    }

    fn connect(&self, call: CallId, plan: Plan, hosts: &[IpAddr]) {
        if let Some(session) = self.sessions.get(&call) {
            session.connect(plan, hosts.to_vec());
        }
    }
}
