//! A super node that does what its standard input says, one line after the other: `console CONFIG`.
//!
//! | line | answer |
//! |---|---|
//! | `join NODE ..` | `joined` once it knows all of these |
//! | `put N` | `done MICROSECONDS` once record N is signed, stored at a quorum and acknowledged, or `failed WHY` |
//! | `get N` | `done MICROSECONDS` once record N is at hand, verified and the right one, or `failed WHY` |
//! | `holds N` | `yes` or `no`: whether this node keeps record N |
//!
//! The first line that it prints is `ready NODE@ADDRESS`, for the others' `seeds`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use p2psip::{Key, Placement};
use relay_node::config;
use relay_node::node::{self, RunningNode};
use tokio::io::{AsyncBufReadExt, BufReader};

const SIZE: usize = 900;
/// Seconds that a record lives.
const LIFETIME: u32 = 3600;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // The same choice that relay-node makes.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(std::io::stderr)
        .init();
    let Some(file) = std::env::args_os().nth(1).map(PathBuf::from) else {
        bail!("usage: console CONFIG");
    };
    let mut node = start(&file).await?;
    let _ = node.status.wait_for(|status| status.joined).await;
    println!("ready {}@{}", node.node, node.config.quic_public());
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["join", others @ ..] => {
                let all = others.len() + 1;
                let known = node.status.wait_for(|status| status.members.len() == all);
                known.await.context("the node has ended")?;
                println!("joined");
            }
            ["put", number] => println!("{}", put(&node, number.parse()?).await),
            ["get", number] => println!("{}", get(&node, number.parse()?).await),
            ["holds", number] => {
                let replicas = node.replicas(key(number.parse()?)).await;
                let holds = replicas.contains(&node.node);
                println!("{}", if holds { "yes" } else { "no" });
            }
            _ => println!("failed unknown command"),
        }
    }
    Ok(())
}

async fn start(file: &Path) -> anyhow::Result<RunningNode> {
    let section = config::load(file, std::env::vars(), &[])?.super_node;
    let section = section.context("no [super_node] section")?;
    Ok(node::start(section).await?)
}

async fn put(node: &RunningNode, number: u64) -> String {
    let begin = now();
    let placement = Placement::lasting(LIFETIME);
    match node.update(key(number), body(number), placement).await {
        Ok(_) => done(begin),
        Err(error) => format!("failed {error:?}"),
    }
}

async fn get(node: &RunningNode, number: u64) -> String {
    let begin = now();
    match node.get(key(number), None).await {
        Ok(records) if records.iter().all(|record| record.body == body(number)) => done(begin),
        Ok(_) => "failed another record".to_owned(),
        Err(error) => format!("failed {error:?}"),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a measurement of its own, beside the node's clock"
)]
fn now() -> Instant {
    Instant::now()
}

fn done(begin: Instant) -> String {
    format!("done {}", begin.elapsed().as_micros())
}

fn key(number: u64) -> Key {
    Key::of(format!("overlay-live record|{number}").as_bytes())
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
