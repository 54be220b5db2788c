//! Which servers a URI means, and in which order to try them (RFC 3263).
//!
//! ```text
//!  sip:bob@example.net     NAPTR example.net ---> SRV _sips._tcp.example.net ---> A, AAAA sip1.example.net ---> peers
//!                             (none: SRV for each transport)   (none: A, AAAA example.net)
//!  sip:bob@example.net:5070 or ;transport=tcp     nothing is left to NAPTR, with a port nothing to SRV either
//!  sip:bob@192.0.2.1                              nothing to ask at all
//! ```
//! A [`Search`] asks the driver's resolver by [`poll`](Search::poll) and is done when it is told every answer. It follows what
//! DNS says so far only: names that are answered without end find an end here.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use machine::Rng;

use crate::proxy::Place;
use crate::{Peer, Transport, joined};

/// The most servers that are asked for.
const SERVERS: usize = 8;
/// The most addresses that come out.
const PEERS: usize = 16;

/// A question to DNS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// The NAPTR records of a domain.
    Naptr(String),
    /// The SRV records of a name.
    Srv(String),
    /// The A and AAAA records of a host.
    Address(String),
}

/// A NAPTR record, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naptr {
    /// Lower comes first.
    pub order: u16,
    /// Of one order, lower comes first.
    pub preference: u16,
    /// The flags: `s` means that SRV follows.
    pub flags: String,
    /// The service: `SIP+D2U`.
    pub service: String,
    /// Where to ask for SRV records.
    pub replacement: String,
}

/// An SRV record (RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Srv {
    /// Lower comes first.
    pub priority: u16,
    /// Of one priority, how often it comes first.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host; `.` says that there is no such service.
    pub target: String,
}

/// What DNS says. Nothing, where it says that there is nothing, or says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Records {
    /// To [`Question::Naptr`].
    Naptr(Vec<Naptr>),
    /// To [`Question::Srv`].
    Srv(Vec<Srv>),
    /// To [`Question::Address`].
    Address(Vec<IpAddr>),
}

/// Why there is nothing to search for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unresolvable {
    /// It is no SIP URI.
    Uri,
    /// Its transport is not known, or not spoken here.
    Transport,
}

/// The search for one URI's servers.
#[derive(Debug)]
pub struct Search {
    host: String,
    secure: bool,
    /// The transport that the URI names.
    named: Option<Transport>,
    /// The transports spoken here, the preferred one first.
    transports: Vec<Transport>,
    stage: Stage,
    /// Questions to be asked, the next one last.
    questions: Vec<Question>,
    /// How many answers are missing.
    missing: usize,
    rng: Rng,
}

#[derive(Debug)]
enum Stage {
    Naptr,
    /// Names of SRV records, in order, with what came for each.
    Srv(Vec<(Transport, String, Vec<Srv>)>),
    /// Servers in order, with what came for each.
    Address(Vec<(Transport, String, u16, Vec<IpAddr>)>),
    Done(Vec<Peer>),
}

impl Search {
    /// Begins the search for the servers of a URI: of a request's Request-URI or topmost Route.
    ///
    /// # Errors
    /// Nothing can be found.
    pub fn new(uri: &str, transports: &[Transport], seed: [u8; 32]) -> Result<Self, Unresolvable> {
        let place = Place::read(uri).ok_or(Unresolvable::Uri)?;
        let named = match place.parameter("transport") {
            Some(name) => {
                let transport = Transport::read(name, place.secure);
                let known = transport.filter(|transport| transports.contains(transport));
                Some(known.ok_or(Unresolvable::Transport)?)
            }
            None => None,
        };
        let mut fit: Vec<Transport> = transports.to_vec();
        fit.retain(|transport| !place.secure || transport.is_secure());
        if fit.is_empty() {
            return Err(Unresolvable::Transport);
        }
        let host = place.parameter("maddr").unwrap_or(place.host);
        let mut search = Self {
            host: host.trim_end_matches('.').to_ascii_lowercase(),
            secure: place.secure,
            named,
            transports: fit,
            stage: Stage::Naptr,
            questions: Vec::new(),
            missing: 0,
            rng: Rng::new(seed),
        };
        // "If the TARGET is a numeric IP address": UDP, or TLS for a SIPS URI; with a port the same (section 4.1).
        let usual = if place.secure {
            Transport::Tls
        } else {
            Transport::Udp
        };
        let number = crate::proxy::numeric(host);
        match (number, named, place.port) {
            (Some(ip), ..) => {
                let transport = named.unwrap_or(usual);
                let port = place.port.unwrap_or(transport.port());
                search.stage =
                    Stage::Done(alloc::vec![Peer::at(transport, SocketAddr::new(ip, port))]);
            }
            (None, _, Some(port)) => {
                let host = search.host.clone();
                search.ask_addresses(alloc::vec![(named.unwrap_or(usual), host, port)]);
            }
            (None, Some(transport), None) => search.ask_services(&[transport]),
            (None, None, None) => {
                search.questions.push(Question::Naptr(search.host.clone()));
                search.missing = 1;
            }
        }
        Ok(search)
    }

    /// The next question. Those of one step may be asked at once.
    pub fn poll(&mut self) -> Option<Question> {
        self.questions.pop()
    }

    /// Takes in the answer to a question. Of answers to what was not asked, nothing comes.
    pub fn answer(&mut self, question: &Question, records: Records) {
        let awaited = match (&mut self.stage, question, records) {
            (Stage::Naptr, Question::Naptr(name), Records::Naptr(records))
                if *name == self.host =>
            {
                self.missing = 0;
                return self.take_naptr(records);
            }
            (Stage::Srv(services), Question::Srv(name), Records::Srv(records)) => {
                let mut all = services.iter_mut().filter(|(_, one, _)| one == name);
                all.next().map(|(.., found)| *found = records).is_some()
            }
            (Stage::Address(servers), Question::Address(name), Records::Address(records)) => {
                let all = servers.iter_mut().filter(|(_, one, ..)| one == name);
                all.map(|(.., found)| found.clone_from(&records)).count() > 0
            }
            _ => false,
        };
        if !awaited || self.missing == 0 {
            return;
        }
        self.missing -= 1;
        if self.missing > 0 {
            return;
        }
        match core::mem::replace(&mut self.stage, Stage::Naptr) {
            Stage::Srv(services) => self.take_srv(services),
            Stage::Address(servers) => {
                let peers = servers.iter().flat_map(|(transport, _, port, found)| {
                    found
                        .iter()
                        .map(|ip| Peer::at(*transport, SocketAddr::new(*ip, *port)))
                });
                self.stage = Stage::Done(peers.take(PEERS).collect());
            }
            other @ (Stage::Naptr | Stage::Done(_)) => self.stage = other,
        }
    }

    /// The addresses to try, in this order, once the search is over; none if there are none.
    #[must_use]
    pub fn peers(&self) -> Option<&[Peer]> {
        match &self.stage {
            Stage::Done(peers) => Some(peers),
            Stage::Naptr | Stage::Srv(_) | Stage::Address(_) => None,
        }
    }

    fn take_naptr(&mut self, mut records: Vec<Naptr>) {
        let service = |naptr: &Naptr| {
            let found = service(&naptr.service)?;
            let spoken = self.transports.contains(&found);
            (spoken && naptr.flags.eq_ignore_ascii_case("s")).then_some(found)
        };
        records.retain(|naptr| service(naptr).is_some());
        machine::sort_by_key(&mut records, |naptr| (naptr.order, naptr.preference));
        records.truncate(SERVERS);
        let known = records
            .iter()
            .filter_map(|naptr| Some((service(naptr)?, naptr.replacement.clone())));
        let known: Vec<_> = known.collect();
        if known.is_empty() {
            // "If no NAPTR records are found, the client constructs SRV queries for those transport protocols it supports."
            let all = self.transports.clone();
            self.ask_services(&all);
        } else {
            self.ask_srv(known);
        }
    }

    /// Asks for the SRV records of the domain, one for each transport.
    fn ask_services(&mut self, transports: &[Transport]) {
        let names = transports.iter().filter_map(|transport| {
            let prefix = match transport {
                Transport::Udp => "_sip._udp.",
                Transport::Tcp => "_sip._tcp.",
                Transport::Tls => "_sips._tcp.",
                Transport::Ws => "_sip._ws.",
                Transport::Wss => "_sips._ws.",
                Transport::Inside => return None,
            };
            Some((*transport, joined(&[prefix, &self.host])))
        });
        let names = names.collect();
        self.ask_srv(names);
    }

    fn ask_srv(&mut self, names: Vec<(Transport, String)>) {
        let services = names.into_iter().map(|(transport, name)| {
            (
                transport,
                name.trim_end_matches('.').to_ascii_lowercase(),
                Vec::new(),
            )
        });
        let mut services: Vec<_> = services.collect();
        let all = services.clone();
        let mut place = 0;
        services.retain(|(_, name, _)| {
            place += 1;
            !all[..place - 1].iter().any(|(_, other, _)| other == name)
        });
        let questions = services.iter().rev();
        self.questions = questions
            .map(|(_, name, _)| Question::Srv(name.clone()))
            .collect();
        self.missing = services.len();
        self.stage = Stage::Srv(services);
    }

    fn take_srv(&mut self, services: Vec<(Transport, String, Vec<Srv>)>) {
        let any = services.iter().any(|(.., found)| !found.is_empty());
        let mut servers = Vec::new();
        for (transport, _, found) in services {
            for srv in self.order(found) {
                let target = srv.target.trim_end_matches('.');
                // A service that is said not to be there.
                if !target.is_empty() {
                    servers.push((transport, target.to_ascii_lowercase(), srv.port));
                }
            }
        }
        if !any {
            // "If no SRV records were found, the client performs an A or AAAA record lookup of the domain name."
            let usual = match (self.named, self.secure) {
                (Some(named), _) => named,
                (None, true) => Transport::Tls,
                (None, false) => Transport::Udp,
            };
            servers.push((usual, self.host.clone(), usual.port()));
        }
        servers.truncate(SERVERS);
        self.ask_addresses(servers);
    }

    fn ask_addresses(&mut self, servers: Vec<(Transport, String, u16)>) {
        if servers.is_empty() {
            self.stage = Stage::Done(Vec::new());
            return;
        }
        let mut names: Vec<&String> = Vec::new();
        for (_, name, _) in &servers {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        self.questions = names
            .iter()
            .rev()
            .map(|name| Question::Address((*name).clone()))
            .collect();
        self.missing = names.len();
        let servers = servers.into_iter();
        self.stage = Stage::Address(
            servers
                .map(|(t, name, port)| (t, name, port, Vec::new()))
                .collect(),
        );
    }

    /// Puts SRV records into the order in which to try them: by priority, and by chance according to weight (RFC 2782).
    fn order(&mut self, mut records: Vec<Srv>) -> Vec<Srv> {
        records.truncate(4 * SERVERS);
        // "all those with weight 0 are placed at the beginning of the list".
        machine::sort_by_key(&mut records, |srv| (srv.priority, srv.weight > 0));
        let mut ordered = Vec::with_capacity(records.len());
        while let Some(priority) = records.first().map(|srv| srv.priority) {
            let count = records
                .iter()
                .take_while(|srv| srv.priority == priority)
                .count();
            let total: u32 = records[..count]
                .iter()
                .map(|srv| u32::from(srv.weight))
                .sum();
            let chosen = self.rng.below(total + 1);
            let mut sum = 0;
            let at = records[..count].iter().position(|srv| {
                sum += u32::from(srv.weight);
                sum >= chosen
            });
            ordered.push(records.remove(at.unwrap_or(0)));
        }
        ordered
    }
}

/// The transport of a NAPTR's service.
fn service(text: &str) -> Option<Transport> {
    let is = |name: &str| text.eq_ignore_ascii_case(name);
    match () {
        () if is("SIP+D2U") => Some(Transport::Udp),
        () if is("SIP+D2T") => Some(Transport::Tcp),
        () if is("SIPS+D2T") => Some(Transport::Tls),
        () if is("SIP+D2W") => Some(Transport::Ws),
        () if is("SIPS+D2W") => Some(Transport::Wss),
        () => None,
    }
}
