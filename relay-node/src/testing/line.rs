use std::net::SocketAddr;

use sip::Message;
use sip::header::Address;
use sip::message::{Composer, Name};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::PATIENCE;

/// A SIP phone at a UDP socket, which says what the test tells it to.
pub(crate) struct Line {
    socket: UdpSocket,
    pub(crate) at: SocketAddr,
    /// `sip:alice@example.org`.
    pub(crate) uri: String,
    server: SocketAddr,
    sent: u32,
}

/// One side of a dialog.
#[derive(Debug, Clone)]
pub(crate) struct Dialog {
    pub(crate) id: String,
    ours: String,
    theirs: String,
    target: String,
    routes: Vec<String>,
    number: u32,
}

impl Line {
    pub(crate) async fn new(uri: &str, server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        Self {
            at: socket.local_addr().unwrap(),
            socket,
            uri: uri.to_owned(),
            server,
            sent: 0,
        }
    }

    /// A phone that is registered.
    pub(crate) async fn registered(uri: &str, server: SocketAddr) -> Self {
        let mut line = Self::new(uri, server).await;
        line.register(200).await;
        line
    }

    /// Registers, which has to be answered by this.
    pub(crate) async fn register(&mut self, status: u16) {
        let domain = self.uri.split('@').nth(1).unwrap();
        let mut dialog = self.dialog(&format!("sip:{domain}"));
        dialog.theirs = format!("<{}>", self.uri);
        self.ask("REGISTER", &mut dialog, "").await;
        assert_eq!(self.receive().await.status(), Some(status));
    }

    fn contact(&self) -> String {
        let user = self.uri.trim_start_matches("sip:").split('@').next();
        format!("<sip:{}@{}>", user.unwrap(), self.at)
    }

    /// What begins with a request for `uri`.
    pub(crate) fn dialog(&mut self, uri: &str) -> Dialog {
        self.sent += 1;
        let id = format!("{}-{}", self.at.port(), self.sent);
        Dialog {
            ours: format!("<{}>;tag={id}", self.uri),
            theirs: format!("<{uri}>"),
            target: uri.to_owned(),
            routes: Vec::new(),
            number: 0,
            id,
        }
    }

    /// Sends the next request of a dialog; an ACK is that of the last one. Outside of a dialog it goes to the own server, within
    /// where the routes say.
    pub(crate) async fn ask(&mut self, method: &str, dialog: &mut Dialog, lines: &str) {
        let ack = method == "ACK";
        if !ack {
            dialog.number += 1;
        }
        self.sent += 1;
        let routes: String = dialog
            .routes
            .iter()
            .map(|route| format!("Route: {route}\r\n"))
            .collect();
        let request = format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bK{}-{}\r\nMax-Forwards: 70\r\n{routes}From: {}\r\n\
             To: {}\r\nCall-ID: {}\r\nCSeq: {} {method}\r\nContact: {}\r\n{lines}Content-Length: 0\r\n\r\n",
            dialog.target,
            self.at,
            self.at.port(),
            self.sent,
            dialog.ours,
            dialog.theirs,
            dialog.id,
            dialog.number,
            self.contact(),
        );
        let next = dialog
            .routes
            .first()
            .map_or(dialog.target.as_str(), |route| {
                Address::read(route).unwrap().uri
            });
        let to = if dialog.theirs.contains("tag=") {
            place(next)
        } else {
            self.server
        };
        self.socket.send_to(request.as_bytes(), to).await.unwrap();
    }

    /// The next message, other than a 100.
    pub(crate) async fn receive(&self) -> Message {
        let mut buffer = [0; 8192];
        loop {
            let length = timeout(PATIENCE, self.socket.recv(&mut buffer));
            let length = length.await.expect("nothing comes").unwrap();
            // Shown if the test fails.
            println!(
                "{}:\n{}",
                self.uri,
                String::from_utf8_lossy(&buffer[..length])
            );
            let message = Message::parse(buffer[..length].to_vec()).unwrap();
            if message.status() != Some(100) {
                return message;
            }
        }
    }

    /// The next request, which has to be this.
    pub(crate) async fn asked(&self, method: &str) -> Message {
        let message = self.receive().await;
        let text = String::from_utf8_lossy(message.as_bytes());
        assert!(text.starts_with(&format!("{method} ")), "{text}");
        message
    }

    /// The next response, which has to be this, taken into the dialog.
    pub(crate) async fn answered(&self, status: u16, dialog: &mut Dialog) -> Message {
        let message = self.receive().await;
        let text = String::from_utf8_lossy(message.as_bytes());
        assert_eq!(message.status(), Some(status), "{text}");
        dialog.theirs = message.field(Name::To).unwrap().to_owned();
        if let Some(contact) = message.contact() {
            dialog.target = contact.uri.to_owned();
            let routes = message.list(Name::RecordRoute).map(str::to_owned);
            dialog.routes = routes.collect();
            dialog.routes.reverse();
        }
        message
    }

    /// Answers a request; gives the dialog as it is seen from here.
    pub(crate) async fn answer(&self, request: &Message, status: u16, lines: &str) -> Dialog {
        let tag = format!("t{}", self.at.port());
        let to = request.field(Name::To).unwrap();
        let to = if request.to_tag().is_empty() {
            format!("{to};tag={tag}")
        } else {
            to.to_owned()
        };
        let lines = format!("Contact: {}\r\n{lines}", self.contact());
        let answer = response(request, status, &tag, &lines);
        let via = request.via().unwrap();
        let (host, port) = via.host_and_port();
        let back = place(&format!("sip:{host}:{}", port.unwrap_or(5060)));
        self.socket.send_to(&answer, back).await.unwrap();
        let target = request.contact().map_or("", |contact| contact.uri);
        Dialog {
            id: request.call_id().to_owned(),
            ours: to,
            theirs: request.field(Name::From).unwrap().to_owned(),
            target: target.to_owned(),
            routes: request.list(Name::RecordRoute).map(str::to_owned).collect(),
            number: 100,
        }
    }
}

/// The response of a callee with this To tag and these header lines.
pub(crate) fn response(request: &Message, status: u16, tag: &str, lines: &str) -> Vec<u8> {
    let mut composer = Composer::response(request, status, tag);
    for route in request.fields(Name::RecordRoute) {
        composer = composer.header("Record-Route", route);
    }
    composer.raw(lines).finish()
}

/// The address in a URI that has one.
fn place(uri: &str) -> SocketAddr {
    let host = uri.trim_start_matches("sip:").split(';').next().unwrap();
    host.rsplit('@').next().unwrap().parse().unwrap()
}
