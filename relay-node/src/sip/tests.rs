//! The SIP server at real sockets.

use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

mod domains;
mod gateway;
mod restart;
mod torture;
mod websockets;

use super::*;
use crate::config;
use crate::testing::{Offline, PATIENCE, sees};

async fn server(more: &str) -> RunningSip {
    let text = format!("[sip]\ndomain = \"example.org\"\nlisten = \"127.0.0.1:0\"\n{more}\n");
    let config = config::parse(Path::new("sip.toml"), &text, [], &[]).unwrap();
    start(config.sip.unwrap()).await.unwrap()
}

fn request(method: &str, user: &str, via: &str, lines: &str) -> String {
    let uri = if method == "REGISTER" {
        "sip:example.org".to_owned()
    } else {
        format!("sip:{user}@example.org")
    };
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{via};branch=z9hG4bK{method}{user};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:alice@example.org>;tag=a\r\nTo: <sip:{user}@example.org>\r\nCall-ID: {method}{user}\r\nCSeq: 1 {method}\r\n\
         {lines}Content-Length: 0\r\n\r\n"
    )
}

async fn datagram(socket: &UdpSocket) -> String {
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).await.unwrap();
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

/// A message without body out of a connection.
async fn message(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        text.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn r076_phones_register_by_udp_and_tcp_and_call_each_other() {
    let server = server("open_registrar = true").await;
    let bob = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    bob.connect(server.listen).await.unwrap();
    let at = bob.local_addr().unwrap();
    let contact = format!("Contact: <sip:bob@{at}>\r\n");
    let register = request("REGISTER", "bob", &format!("UDP {at}"), &contact);
    bob.send(register.as_bytes()).await.unwrap();
    let answer = datagram(&bob).await;
    assert!(answer.starts_with("SIP/2.0 200 OK\r\n"), "{answer}");
    assert!(answer.contains(&format!("rport={}", at.port())), "{answer}");

    let mut alice = TcpStream::connect(server.listen).await.unwrap();
    alice.write_all(b"\r\n\r\n").await.unwrap();
    assert_eq!(alice.read_u16().await.unwrap(), 0x0d0a, "a pong");
    let invite = request(
        "INVITE",
        "bob",
        "TCP 10.0.0.1",
        "Contact: <sip:alice@10.0.0.1>\r\n",
    );
    let (first, second) = invite.split_at(77);
    alice.write_all(first.as_bytes()).await.unwrap();
    alice.write_all(second.as_bytes()).await.unwrap();
    assert!(
        message(&mut alice)
            .await
            .starts_with("SIP/2.0 100 Trying\r\n")
    );
    let arrived = datagram(&bob).await;
    assert!(
        arrived.starts_with(&format!("INVITE sip:bob@{at} SIP/2.0\r\n")),
        "{arrived}"
    );
    assert_eq!(
        arrived.matches("Record-Route").count(),
        1,
        "alice is behind her connection"
    );
    let kept = ["Via", "From", "To", "Call-ID", "CSeq", "Record-Route"];
    let lines = arrived.lines().filter(|line| {
        kept.iter()
            .any(|name| line.starts_with(&format!("{name}:")))
    });
    let mut ok: String = lines.map(|line| format!("{line}\r\n")).collect();
    ok = format!("SIP/2.0 200 OK\r\n{ok}Content-Length: 0\r\n\r\n")
        .replace("bob@example.org>", "bob@example.org>;tag=b");
    bob.send(ok.as_bytes()).await.unwrap();
    assert!(message(&mut alice).await.starts_with("SIP/2.0 200 OK\r\n"));
    server.task.abort();
}

/// A phone of `user` that is registered at a server.
async fn phone(server: &RunningSip, user: &str) -> UdpSocket {
    let phone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    phone.connect(server.listen).await.unwrap();
    let at = phone.local_addr().unwrap();
    let contact = format!("Contact: <sip:{user}@{at}>\r\n");
    let register = request("REGISTER", user, &format!("UDP {at}"), &contact);
    phone.send(register.as_bytes()).await.unwrap();
    assert!(datagram(&phone).await.starts_with("SIP/2.0 200 "));
    phone
}

#[tokio::test]
async fn r070_r077_r079_phones_at_two_super_nodes_find_each_other_by_the_overlay() {
    let overlay = Offline::new();
    let mut first = overlay.super_node("1", &[]).await;
    let mut second = overlay.super_node("2", &[&first]).await;
    for node in [&mut first, &mut second] {
        sees(node, 2).await;
    }
    let mut servers = Vec::new();
    for node in [&first, &second] {
        let text =
            "[sip]\ndomain = \"example.org\"\nlisten = \"127.0.0.1:0\"\nopen_registrar = true\n";
        let config = config::parse(Path::new("sip.toml"), text, [], &[]).unwrap();
        servers.push(
            start_with(config.sip.unwrap(), Some(node.api()), Overlays::new())
                .await
                .unwrap(),
        );
    }
    let bob = phone(&servers[0], "bob").await;
    let alice = phone(&servers[1], "alice").await;
    let via = format!("UDP {}", alice.local_addr().unwrap());
    // The record is placed a moment after bob has his answer.
    let mut tries = 0;
    let arrived = loop {
        tries += 1;
        let message =
            request("MESSAGE", "bob", &via, "").replace("z9hG4bK", &format!("z9hG4bK{tries}"));
        alice.send(message.as_bytes()).await.unwrap();
        tokio::select! {
            arrived = datagram(&bob) => break arrived,
            refused = datagram(&alice) => assert!(refused.starts_with("SIP/2.0 480 "), "{refused}"),
        }
    };
    let uri = format!("MESSAGE sip:bob@{} SIP/2.0\r\n", bob.local_addr().unwrap());
    assert!(arrived.starts_with(&uri), "{arrived}");
    assert_eq!(
        arrived.matches("\r\nVia: ").count(),
        3,
        "by both proxies: {arrived}"
    );

    // When he has gone, he is found no more.
    let at = bob.local_addr().unwrap();
    let gone = request(
        "REGISTER",
        "bob",
        &format!("UDP {at}"),
        "Contact: *\r\nExpires: 0\r\n",
    );
    let gone = gone
        .replace("CSeq: 1", "CSeq: 2")
        .replace("z9hG4bK", "z9hG4bKx");
    bob.send(gone.as_bytes()).await.unwrap();
    assert!(datagram(&bob).await.starts_with("SIP/2.0 200 "));
    let key = p2psip::Aor::read("sip:bob@example.org").unwrap().key();
    let empty = async {
        while second.get(key, None).await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, empty).await.unwrap();
    for server in servers {
        server.task.abort();
    }
}

#[tokio::test]
async fn r076_without_a_password_nobody_registers_and_nobody_else_is_found() {
    let server = server("users = { bob = \"secret\" }").await;
    let bob = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    bob.connect(server.listen).await.unwrap();
    let via = format!("UDP {}", bob.local_addr().unwrap());
    let register = |lines: &str| {
        request(
            "REGISTER",
            "bob",
            &via,
            &format!("Contact: <sip:bob@10.1.1.1>\r\n{lines}"),
        )
    };
    bob.send(register("").as_bytes()).await.unwrap();
    let challenge = datagram(&bob).await;
    assert!(challenge.starts_with("SIP/2.0 401 "), "{challenge}");
    let challenge = sip::Message::parse(challenge.into_bytes()).unwrap();
    for (password, status) in [("wrong", "401"), ("secret", "200")] {
        let login = sip::digest::Login {
            realm: "example.org".into(),
            user: "bob".into(),
            password: password.into(),
            md5: false,
        };
        let line = login
            .answer(&challenge, ["REGISTER", "sip:example.org"], "c", 1)
            .unwrap();
        bob.send(register(&line).as_bytes()).await.unwrap();
        let answer = datagram(&bob).await;
        assert!(
            answer.starts_with(&format!("SIP/2.0 {status} ")),
            "{answer}"
        );
    }
    server.task.abort();
}

#[tokio::test]
async fn a36_a_stream_that_breaks_is_answered_and_closed() {
    let server = server("open_registrar = true").await;
    let mut stream = TcpStream::connect(server.listen).await.unwrap();
    let broken = request("OPTIONS", "bob", "TCP 10.0.0.1", "").replace("Length: 0", "Length: -1");
    stream.write_all(broken.as_bytes()).await.unwrap();
    let answer = message(&mut stream).await;
    assert!(
        answer.starts_with("SIP/2.0 400 Bad Request\r\n"),
        "{answer}"
    );
    assert!(answer.contains("the Content-Length is not a number"));
    assert_eq!(stream.read(&mut [0; 16]).await.unwrap(), 0, "it is closed");
    server.task.abort();
}

#[tokio::test]
async fn who_can_not_be_reached_by_tcp_is_said_to_be_so() {
    let server = server("open_registrar = true").await;
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = gone.local_addr().unwrap();
    drop(gone);
    let alice = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    alice.connect(server.listen).await.unwrap();
    let via = format!("UDP {}", alice.local_addr().unwrap());
    let contact = format!("Contact: <sip:bob@{nobody};transport=tcp>\r\n");
    alice
        .send(request("REGISTER", "bob", &via, &contact).as_bytes())
        .await
        .unwrap();
    assert!(datagram(&alice).await.starts_with("SIP/2.0 200 "));
    alice
        .send(request("MESSAGE", "bob", &via, "").as_bytes())
        .await
        .unwrap();
    let answer = datagram(&alice).await;
    assert!(
        answer.starts_with("SIP/2.0 500 ") && answer.contains("can't be reached"),
        "{answer}"
    );
    server.task.abort();
}

#[test]
fn an_open_registrar_is_for_loopback_alone() {
    let check = |listen: &str, more: &str| {
        let text = format!("[sip]\ndomain = \"example.org\"\nlisten = \"{listen}\"\n{more}\n");
        config::parse(Path::new("sip.toml"), &text, [], &[]).map_err(|error| error.to_string())
    };
    assert!(check("127.0.0.1:5060", "open_registrar = true").is_ok());
    let refused = check("192.0.2.1:5060", "open_registrar = true").unwrap_err();
    assert!(refused.contains("open_registrar"), "{refused}");
    let refused = check("0.0.0.0:5060", "").unwrap_err();
    assert!(refused.contains("`host`"), "{refused}");
    assert!(check("0.0.0.0:5060", "host = \"sip.example.org\"").is_ok());
}
