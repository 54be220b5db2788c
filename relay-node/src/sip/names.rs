use std::net::IpAddr;
use std::time::Duration;

use sip::proxy::Lookup;
use sip::resolve::{Question, Records, Search};
use sip::{Peer, Transport};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::crypto::entropy;

/// How long a name may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most names that are looked up at once.
const MOST: usize = 256;

/// The transports by which this server calls others.
const SPOKEN: [Transport; 2] = [Transport::Udp, Transport::Tcp];

/// Looks names up, several at once.
#[derive(Debug, Default)]
pub(super) struct Names {
    searches: JoinSet<(Lookup, Vec<Peer>)>,
}

impl Names {
    /// Begins to look the servers of a URI up.
    pub(super) fn resolve(&mut self, lookup: Lookup, uri: &str) {
        let search = Search::new(uri, &SPOKEN, entropy());
        let full = self.searches.len() >= MOST;
        self.searches.spawn(async move {
            match search {
                Ok(search) if !full => (lookup, ask(search).await),
                Ok(_) | Err(_) => (lookup, Vec::new()),
            }
        });
    }

    /// The next answer; `None` if nothing is asked.
    pub(super) async fn next(&mut self) -> Option<(Lookup, Vec<Peer>)> {
        loop {
            if let Ok(answer) = self.searches.join_next().await? {
                return Some(answer);
            }
        }
    }
}

/// The system's resolver knows addresses only: it says nothing about NAPTR and SRV, so the domain's own address is taken.
async fn ask(mut search: Search) -> Vec<Peer> {
    while let Some(question) = search.poll() {
        let records = match &question {
            Question::Naptr(_) => Records::Naptr(Vec::new()),
            Question::Srv(_) => Records::Srv(Vec::new()),
            Question::Address(host) => Records::Address(addresses(host).await),
        };
        search.answer(&question, records);
    }
    search.peers().unwrap_or_default().to_vec()
}

async fn addresses(host: &str) -> Vec<IpAddr> {
    let found = timeout(PATIENCE, tokio::net::lookup_host((host, 0))).await;
    let found = found.ok().and_then(Result::ok).into_iter().flatten();
    found.map(|address| address.ip()).collect()
}
