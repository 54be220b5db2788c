//! Nodes that a test plays by hand, message by message, to say what no honest node would.

use std::time::Duration;

use credential::{Certificate, Challenge, NodeId, Role, Signature};
use overlay::association::{Denial, FromOrdinary, FromSuperNode, Mode, PutOutcome};
use overlay::peer::{About, Announcement, Message};
use overlay::{Control, Key, Policy, SignedRecord, Wire, frame};
use serde::de::DeserializeOwned;
use sim::{Action, ConnectionId, Fact, HostId};

use crate::authority::{Identity, WALL};
use crate::node::{Node, preface};
use crate::world::World;

/// One end of a connection, played by hand.
#[derive(Clone, Copy)]
pub(crate) struct Raw {
    pub(crate) host: HostId,
    pub(crate) connection: ConnectionId,
}

const NONCE: [u8; 32] = [9; 32];

fn hello(at: usize) -> FromOrdinary {
    FromOrdinary::Hello {
        nonce: NONCE,
        host: format!("sn{at}"),
        revocations: 0,
    }
}

impl World {
    /// Opens a connection to a super node.
    fn raw(&mut self, address: &str, first: Vec<u8>) -> Raw {
        let host = self.add_puppet("nowhere");
        self.raw_from(host, address, first)
    }

    pub(crate) fn raw_from(&mut self, host: HostId, address: &str, first: Vec<u8>) -> Raw {
        let (token, address) = (0, address.to_owned());
        self.puppet(host, |puppet| {
            puppet.facts.clear();
            puppet.actions.push_back(Action::Dial { token, address });
        });
        self.network.run_for(Duration::from_millis(200));
        let opened = self.facts(host).iter().find_map(|fact| match fact {
            Fact::Opened {
                connection,
                token: Some(_),
            } => Some(*connection),
            _ => None,
        });
        let raw = Raw {
            host,
            connection: opened.expect("somebody listens there"),
        };
        self.send_bytes(raw, first);
        raw
    }

    pub(crate) fn facts(&self, host: HostId) -> &[Fact] {
        match self.network.host(host) {
            Node::Puppet(puppet) => &puppet.facts,
            _ => panic!("no puppet"),
        }
    }

    /// Plays an ordinary node that has opened its WebSocket.
    pub(crate) fn raw_stranger(&mut self, at: usize) -> Raw {
        self.raw(&format!("sn{at}"), vec![0xfe])
    }

    /// Plays an ordinary node up to the super node's answer to its proof.
    pub(crate) fn raw_ordinary(&mut self, identity: &Identity, at: usize) -> Raw {
        let raw = self.raw_stranger(at);
        let hello = hello(at);
        self.say(raw, &hello);
        let proof = self.proof(identity, raw, at);
        self.say(raw, &proof);
        raw
    }

    /// Plays so many ordinary nodes of one user at once, each up to the super node's answer to its proof.
    pub(crate) fn raw_crowd(&mut self, identity: &Identity, at: usize, count: usize) -> Vec<Raw> {
        let host = self.add_puppet("nowhere");
        self.puppet(host, |puppet| {
            for token in 0..count as u64 {
                let address = format!("sn{at}");
                puppet.actions.push_back(Action::Dial { token, address });
            }
        });
        self.network.run_for(Duration::from_millis(200));
        let opened = self.facts(host).iter().filter_map(|fact| match fact {
            Fact::Opened { connection, .. } => Some(Raw {
                host,
                connection: *connection,
            }),
            _ => None,
        });
        let crowd: Vec<Raw> = opened.collect();
        let hello = frame::encode(self.overlay(), &hello(at));
        for &raw in &crowd {
            self.send_bytes(raw, vec![0xfe]);
            self.send_bytes(raw, hello.clone());
        }
        self.network.run_for(Duration::from_millis(200));
        for &raw in &crowd {
            let proof = frame::encode(self.overlay(), &self.proof(identity, raw, at));
            self.send_bytes(raw, proof);
        }
        self.network.run_for(Duration::from_millis(200));
        crowd
    }

    /// The answer to the challenge that has come.
    fn proof(&self, identity: &Identity, raw: Raw, at: usize) -> FromOrdinary {
        let host = format!("sn{at}");
        let answer: Vec<FromSuperNode> = self.heard(raw);
        let Some(FromSuperNode::Challenge {
            nonce: theirs,
            certificate,
            ..
        }) = answer.first()
        else {
            panic!("challenged: {answer:?}");
        };
        let challenge = Challenge {
            overlay: self.overlay(),
            ordinary: &NONCE,
            super_node: theirs,
            node: Certificate::read(certificate).unwrap().node().unwrap(),
            host: &host,
        };
        let message = challenge.message(Role::OrdinaryNode).unwrap();
        FromOrdinary::Proof {
            certificate: identity.certificate.der().to_vec(),
            signature: identity.sign(&message),
        }
    }

    /// Plays an ordinary node that is welcome.
    pub(crate) fn raw_user(&mut self, identity: &Identity, at: usize) -> Raw {
        let raw = self.raw_ordinary(identity, at);
        let answer: Vec<FromSuperNode> = self.heard(raw);
        assert!(matches!(answer[1], FromSuperNode::Welcome { .. }));
        raw
    }

    /// Plays a super node, or whoever else has such a certificate.
    pub(crate) fn raw_peer(&mut self, identity: &Identity, at: usize) -> Raw {
        let first = preface(&identity.certificate, 1);
        let raw = self.raw(&format!("sn{at}:quic"), first);
        self.network.run_for(Duration::from_millis(200));
        raw
    }

    /// Makes everybody take a hand-played super node for a member that is reached under its puppet's address.
    pub(crate) fn raw_member(&mut self, identity: &Identity, at: usize) -> Raw {
        let address = format!("evil{at}:quic");
        let host = self.add_puppet(&address);
        let greeting = Some(preface(&identity.certificate, 0));
        self.puppet(host, |puppet| puppet.greeting = greeting);
        let raw = self.raw_from(
            host,
            &format!("sn{at}:quic"),
            preface(&identity.certificate, 1),
        );
        let announcement = self.announcement(identity, |about| about.quic = address);
        self.say(
            raw,
            &Message::Announcements {
                announcements: vec![announcement],
            },
        );
        self.network.run_for(Duration::from_secs(1));
        raw
    }

    pub(crate) fn announcement(
        &self,
        identity: &Identity,
        change: impl FnOnce(&mut About),
    ) -> Announcement {
        let mut about = About {
            statement: identity.statement.unwrap().to_bytes().to_vec(),
            incarnation: WALL + self.network.now().since_epoch().as_millis() as u64,
            quic: "nowhere:quic".into(),
            url: "wss://nowhere/p2psip".into(),
            reach: 0,
        };
        change(&mut about);
        let signature = identity.sign(&about.message(self.overlay()));
        Announcement { about, signature }
    }

    pub(crate) fn say(&mut self, raw: Raw, message: &impl Wire) {
        let frame = frame::encode(self.overlay(), message);
        self.send_bytes(raw, frame);
        self.network.run_for(Duration::from_millis(200));
    }

    pub(crate) fn send_bytes(&mut self, raw: Raw, payload: Vec<u8>) {
        let connection = raw.connection;
        self.puppet(raw.host, |puppet| {
            puppet.actions.push_back(Action::Send {
                connection,
                payload,
            });
        });
    }

    /// All messages that have come on a connection.
    pub(crate) fn heard<T: DeserializeOwned>(&self, raw: Raw) -> Vec<T> {
        let frames = self.facts(raw.host).iter().filter_map(|fact| match fact {
            Fact::Received {
                connection,
                payload,
            } if *connection == raw.connection => Some(payload),
            _ => None,
        });
        let decode = |frame: &Vec<u8>| {
            let message = frame.get(17..)?;
            postcard::from_bytes(message).ok()
        };
        frames.filter_map(decode).collect()
    }

    pub(crate) fn is_closed(&self, raw: Raw) -> bool {
        let connection = raw.connection;
        self.facts(raw.host).contains(&Fact::Closed { connection })
    }

    /// Why a super node turned somebody away.
    pub(crate) fn denied(&self, raw: Raw) -> Option<Denial> {
        let mut heard = self.heard(raw).into_iter();
        heard.find_map(|message| match message {
            FromSuperNode::Refused { why, .. } => Some(why),
            _ => None,
        })
    }

    /// Has a record placed, and returns what became of it.
    pub(crate) fn put(&mut self, raw: Raw, mode: Mode, record: SignedRecord) -> PutOutcome {
        let request = self.network.now().since_epoch().as_micros() as u64;
        self.say(
            raw,
            &FromOrdinary::Put {
                request,
                mode,
                record,
            },
        );
        self.network.run_for(Duration::from_secs(3));
        let mut heard = self.heard(raw).into_iter();
        let outcome = heard.find_map(|message| match message {
            FromSuperNode::Put {
                request: of,
                outcome,
            } if of == request => Some(outcome),
            _ => None,
        });
        outcome.expect("every put is answered")
    }

    /// Has a replica store a record, as another super node would, and returns what it says.
    pub(crate) fn place(&mut self, raw: Raw, mode: Mode, record: SignedRecord) -> PutOutcome {
        let request = self.network.now().since_epoch().as_micros() as u64;
        self.say(
            raw,
            &Message::Place {
                request,
                mode,
                record,
            },
        );
        let mut heard = self.heard(raw).into_iter();
        let outcome = heard.find_map(|message| match message {
            Message::Placed {
                request: of,
                outcome,
            } if of == request => Some(outcome),
            _ => None,
        });
        outcome.expect("every placing is answered")
    }

    /// The date.
    pub(crate) fn wall(&self) -> u64 {
        WALL + self.network.now().since_epoch().as_millis() as u64
    }

    /// A record as its owner would sign it, changed before the signature.
    pub(crate) fn record(
        &self,
        identity: &Identity,
        key: Key,
        body: &[u8],
        change: impl FnOnce(&mut Control),
    ) -> SignedRecord {
        let (uri, instance) = identity.certificate.user().unwrap();
        let mut control = Control {
            overlay: self.overlay(),
            key,
            owner: uri.to_owned(),
            instance,
            policy: Policy::default(),
            sequence: self.wall(),
            lifetime: 3_600,
            no_update: false,
            removed: false,
        };
        change(&mut control);
        let mut record = SignedRecord {
            control,
            body: body.to_vec(),
            certificate: identity.certificate.der().to_vec(),
            signature: Signature([0; 64]),
        };
        record.signature = identity.sign(&record.message());
        record
    }
}

/// The node whose id begins with this byte.
pub(crate) fn node(first: u8) -> NodeId {
    let mut id = [0xee; 20];
    id[0] = first;
    NodeId(id)
}
