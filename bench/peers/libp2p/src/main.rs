//! A node of libp2p's Kademlia over QUIC that does what its standard input says, one line after the other.
//!
//! | line | answer |
//! |---|---|
//! | `join PEER@MULTIADDRESS ..` | `joined` once all are in its routing table and can be reached |
//! | `put N` | `done MICROSECONDS` once record N is stored, or `failed WHY` |
//! | `get N` | `done MICROSECONDS` once record N is at hand and is the right one, or `failed WHY` |
//! | `holds N` | `yes` or `no`: whether this node keeps record N |
//!
//! The first line that it prints is `ready PEER@MULTIADDRESS`.

use std::error::Error;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use libp2p::futures::StreamExt;
use libp2p::kad::store::{MemoryStore, MemoryStoreConfig, RecordStore};
use libp2p::kad::{
    self, GetRecordOk, Mode, ProgressStep, QueryId, QueryResult, Quorum, Record, RecordKey,
};
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, PeerId, Swarm, SwarmBuilder};
use tokio::io::{AsyncBufReadExt, BufReader};

const SIZE: usize = 900;

type Node = Swarm<kad::Behaviour<MemoryStore>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut node = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_quic()
        .with_behaviour(|key| {
            let peer = key.public().to_peer_id();
            // Its own limit of 1,024 records would end a longer run.
            let limits = MemoryStoreConfig {
                max_records: 100_000,
                ..MemoryStoreConfig::default()
            };
            kad::Behaviour::new(peer, MemoryStore::with_config(peer, limits))
        })?
        // Links last: a node that has to dial for each operation would be slower still.
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(3600)))
        .build();
    node.behaviour_mut().set_mode(Some(Mode::Server));
    node.listen_on("/ip4/127.0.0.1/udp/0/quic-v1".parse()?)?;
    loop {
        if let SwarmEvent::NewListenAddr { address, .. } = node.select_next_some().await {
            println!("ready {}@{address}", node.local_peer_id());
            break;
        }
    }
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        let line = tokio::select! {
            line = lines.next_line() => line?,
            _ = node.select_next_some() => continue,
        };
        let Some(line) = line else { return Ok(()) };
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["join", others @ ..] => {
                join(&mut node, others).await?;
                println!("joined");
            }
            ["put", number] => println!("{}", put(&mut node, number.parse()?).await?),
            ["get", number] => println!("{}", get(&mut node, number.parse()?).await),
            ["holds", number] => {
                let held = node.behaviour_mut().store_mut().get(&key(number.parse()?));
                println!("{}", if held.is_some() { "yes" } else { "no" });
            }
            _ => println!("failed unknown command"),
        }
    }
}

/// Takes all others into the routing table and dials them.
async fn join(node: &mut Node, others: &[&str]) -> Result<(), Box<dyn Error>> {
    let mut wanted = 0;
    for other in others {
        let (peer, address) = other.split_once('@').ok_or("PEER@MULTIADDRESS")?;
        let (peer, address): (PeerId, Multiaddr) = (peer.parse()?, address.parse()?);
        node.behaviour_mut().add_address(&peer, address);
        if !node.is_connected(&peer) {
            let _ = node.dial(peer);
        }
        wanted += 1;
    }
    while node.connected_peers().count() < wanted {
        node.select_next_some().await;
    }
    // Fills the buckets as any node does that starts.
    let query = node.behaviour_mut().bootstrap()?;
    while !matches!(next(node, query).await, (QueryResult::Bootstrap(_), step) if step.last) {}
    Ok(())
}

async fn put(node: &mut Node, number: u64) -> Result<String, Box<dyn Error>> {
    let record = Record::new(key(number), body(number));
    let begin = Instant::now();
    // As many as a quorum of five super nodes.
    let quorum = Quorum::N(NonZeroUsize::new(3).ok_or("not zero")?);
    let query = node.behaviour_mut().put_record(record, quorum)?;
    loop {
        match next(node, query).await.0 {
            QueryResult::PutRecord(Ok(_)) => return Ok(done(begin)),
            QueryResult::PutRecord(Err(error)) => return Ok(format!("failed {error}")),
            _ => {}
        }
    }
}

async fn get(node: &mut Node, number: u64) -> String {
    let begin = Instant::now();
    let query = node.behaviour_mut().get_record(key(number));
    loop {
        match next(node, query).await.0 {
            QueryResult::GetRecord(Ok(GetRecordOk::FoundRecord(found))) => {
                if found.record.value == body(number) {
                    return done(begin);
                }
                return "failed another record".to_owned();
            }
            QueryResult::GetRecord(Err(error)) => return format!("failed {error}"),
            _ => {}
        }
    }
}

/// What comes next of a query. All others go on behind it.
async fn next(node: &mut Node, wanted: QueryId) -> (QueryResult, ProgressStep) {
    loop {
        if let SwarmEvent::Behaviour(kad::Event::OutboundQueryProgressed {
            id, result, step, ..
        }) = node.select_next_some().await
            && id == wanted
        {
            return (result, step);
        }
    }
}

fn done(begin: Instant) -> String {
    format!("done {}", begin.elapsed().as_micros())
}

fn key(number: u64) -> RecordKey {
    RecordKey::new(&format!("overlay-live record {number}"))
}

/// The record with this number: bytes that can't be taken for another's.
fn body(number: u64) -> Vec<u8> {
    number
        .to_be_bytes()
        .into_iter()
        .cycle()
        .take(SIZE)
        .collect()
}
