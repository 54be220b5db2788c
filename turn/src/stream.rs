use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;
use machine::Instant;

use crate::frame::frame;
use crate::server::{Client, ConnectionId, Output, Server, StreamId, Timer};

/// How long a connection without an allocation may stay.
const IDLE: Duration = Duration::from_secs(60);

/// A client's TCP connection.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub(crate) from: SocketAddr,
    /// The beginning of a message whose rest has not come.
    rest: Vec<u8>,
    expires: Instant,
    /// What it was joined with: from then on the server hears nothing of it but its end.
    pub(crate) joined: Option<ConnectionId>,
}

impl Server {
    pub(crate) fn stream_opened(&mut self, stream: StreamId, from: SocketAddr, now: Instant) {
        let expires = now + IDLE;
        let opened = Stream {
            from,
            rest: Vec::new(),
            expires,
            joined: None,
        };
        self.streams.insert(stream, opened);
        self.wheel.set(expires, Timer::Stream(stream));
    }

    pub(crate) fn stream_bytes(&mut self, stream: StreamId, bytes: &[u8], now: Instant) {
        let Some(known) = self.streams.get_mut(&stream) else {
            return;
        };
        let from = known.from;
        let mut rest = core::mem::take(&mut known.rest);
        rest.extend_from_slice(bytes);
        let mut at = 0;
        loop {
            match frame(&rest[at..]) {
                Ok(Some(found)) => {
                    let message = rest[at..at + found.length].to_vec();
                    at += found.padded;
                    self.handle_message(Client::Stream(stream), from, message, now);
                }
                Ok(None) => break,
                Err(_) => {
                    self.counters.malformed += 1;
                    self.outbox.push(Output::Close { stream });
                    self.stream_closed(stream);
                    return;
                }
            }
            match self.streams.get(&stream) {
                Some(Stream {
                    joined: Some(connection),
                    ..
                }) => {
                    let connection = *connection;
                    self.outbox.push(Output::Join {
                        stream,
                        connection,
                        bytes: rest.split_off(at),
                    });
                    return;
                }
                Some(_) => {}
                None => return,
            }
        }
        rest.drain(..at);
        if let Some(known) = self.streams.get_mut(&stream) {
            rest.shrink_to(4_096);
            known.rest = rest;
        }
    }

    pub(crate) fn stream_closed(&mut self, stream: StreamId) {
        let Some(closed) = self.streams.remove(&stream) else {
            return;
        };
        if let Some(connection) = closed.joined {
            self.hang_up(connection);
        }
        if let Some(number) = self.clients.get(&Client::Stream(stream)) {
            self.free(*number);
        }
    }

    pub(crate) fn stream_due(&mut self, stream: StreamId, now: Instant) {
        let Some(known) = self.streams.get_mut(&stream) else {
            return;
        };
        if known.joined.is_some() || self.clients.contains_key(&Client::Stream(stream)) {
            known.expires = now + IDLE;
        }
        if known.expires > now {
            self.wheel.set(known.expires, Timer::Stream(stream));
        } else {
            self.outbox.push(Output::Close { stream });
            self.stream_closed(stream);
        }
    }
}
