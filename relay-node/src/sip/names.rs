//! DNS for the search of RFC 3263: the questions are those of [`Search`], the answers come by hickory.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use sip::proxy::Lookup;
use sip::resolve::{Naptr, Question, Records, Search, Srv};
use sip::{Peer, Transport, Uri};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::crypto::entropy;

/// How long all questions for a name may take.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long a server may take for one answer.
const ANSWER: Duration = Duration::from_secs(2);
/// The most names that are looked up at once.
const MOST: usize = 256;

/// The transports by which this server calls others: by that on which they have to prove who they are first.
const SPOKEN: [Transport; 3] = [Transport::Tls, Transport::Udp, Transport::Tcp];

/// What was found.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) lookup: Lookup,
    /// Whom the URI names, and a certificate has to name (RFC 5922, section 7.1).
    pub(super) domain: String,
    pub(super) peers: Vec<Peer>,
}

/// Looks names up, several at once.
pub(super) struct Names {
    resolver: Option<TokioResolver>,
    searches: JoinSet<Named>,
}

impl Names {
    /// Asks these servers; those of the system, if there are none.
    pub(super) fn new(servers: &[SocketAddr]) -> Self {
        Self {
            resolver: resolver(servers),
            searches: JoinSet::new(),
        }
    }

    /// Begins to look the servers of a URI up.
    pub(super) fn resolve(&mut self, lookup: Lookup, uri: &str) {
        let domain = Uri::read(uri).map_or_else(|_| String::new(), |uri| uri.host().to_owned());
        let search = Search::new(uri, &SPOKEN, entropy());
        let full = self.searches.len() >= MOST;
        let resolver = self.resolver.clone();
        self.searches.spawn(async move {
            let peers = match (search, resolver) {
                (Ok(search), Some(resolver)) if !full => {
                    let asked = timeout(PATIENCE, ask(search, &resolver)).await;
                    asked.unwrap_or_default()
                }
                (Ok(_) | Err(_), _) => Vec::new(),
            };
            Named {
                lookup,
                domain,
                peers,
            }
        });
    }

    /// The next answer; `None` if nothing is asked.
    pub(super) async fn next(&mut self) -> Option<Named> {
        loop {
            if let Ok(answer) = self.searches.join_next().await? {
                return Some(answer);
            }
        }
    }
}

fn resolver(servers: &[SocketAddr]) -> Option<TokioResolver> {
    let builder = if servers.is_empty() {
        TokioResolver::builder_tokio()
    } else {
        let server = |address: &SocketAddr| {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
            let connections = connections.map(|mut connection| {
                connection.port = address.port();
                connection
            });
            NameServerConfig::new(address.ip(), true, connections.into())
        };
        let servers = servers.iter().map(server).collect();
        let config = ResolverConfig::from_name_servers(servers);
        let provider = TokioRuntimeProvider::default();
        Ok(TokioResolver::builder_with_config(config, provider))
    };
    let built = builder.and_then(|mut builder| {
        builder.options_mut().timeout = ANSWER;
        builder.build()
    });
    built
        .inspect_err(|error| tracing::warn!("SIP finds no other domains: {error}"))
        .ok()
}

async fn ask(mut search: Search, resolver: &TokioResolver) -> Vec<Peer> {
    while let Some(question) = search.poll() {
        let records = match &question {
            Question::Naptr(name) => Records::Naptr(naptr(name, resolver).await),
            Question::Srv(name) => Records::Srv(srv(name, resolver).await),
            Question::Address(host) => Records::Address(addresses(host, resolver).await),
        };
        search.answer(&question, records);
    }
    search.peers().unwrap_or_default().to_vec()
}

async fn naptr(name: &str, resolver: &TokioResolver) -> Vec<Naptr> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let read = |data: &RData| match data {
        RData::NAPTR(found) => Some(Naptr {
            order: found.order,
            preference: found.preference,
            flags: text(&found.flags),
            service: text(&found.services),
            replacement: found.replacement.to_ascii(),
        }),
        _ => None,
    };
    records(name, RecordType::NAPTR, resolver, read).await
}

async fn srv(name: &str, resolver: &TokioResolver) -> Vec<Srv> {
    let read = |data: &RData| match data {
        RData::SRV(found) => Some(Srv {
            priority: found.priority,
            weight: found.weight,
            port: found.port,
            target: found.target.to_ascii(),
        }),
        _ => None,
    };
    records(name, RecordType::SRV, resolver, read).await
}

async fn addresses(host: &str, resolver: &TokioResolver) -> Vec<IpAddr> {
    let Some(name) = absolute(host) else {
        return Vec::new();
    };
    let found = resolver.lookup_ip(name).await;
    found.map_or_else(|_| Vec::new(), |found| found.iter().collect())
}

async fn records<T>(
    name: &str,
    kind: RecordType,
    resolver: &TokioResolver,
    read: impl Fn(&RData) -> Option<T>,
) -> Vec<T> {
    let Some(name) = absolute(name) else {
        return Vec::new();
    };
    // That there is nothing is an answer, and no answer is none either.
    let Ok(found) = resolver.lookup(name, kind).await else {
        return Vec::new();
    };
    found
        .answers()
        .iter()
        .filter_map(|record| read(&record.data))
        .collect()
}

/// The name as it stands: nothing of this machine's search list belongs behind it.
fn absolute(name: &str) -> Option<Name> {
    let mut name = Name::from_ascii(name).ok()?;
    name.set_fqdn(true);
    Some(name)
}
