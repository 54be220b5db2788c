//! A proxy that ends in the middle of calls, and starts again.

use tokio::time::timeout;

use super::*;
use crate::crypto::Key;

/// Calls that stand while the proxy is away.
const CALLS: usize = 1_000;

/// A server at this address, which stays in the path of calls; `open` if it believes everybody.
async fn at(listen: SocketAddr, secret: &str, open: bool) -> RunningSip {
    let text = format!(
        "[sip]\ndomain = \"example.org\"\nlisten = \"{listen}\"\nopen_registrar = {open}\nrecord_route = true\nsecret = \"{secret}\"\n"
    );
    let config = config::parse(Path::new("sip.toml"), &text, [], &[]).unwrap();
    start(config.sip.unwrap()).await.unwrap()
}

/// Ends a server: its address is free again after this.
async fn end(server: RunningSip) {
    server.task.abort();
    assert!(server.task.await.unwrap_err().is_cancelled());
    let free = async {
        while TcpListener::bind(server.listen).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, free).await.unwrap();
}

/// The next message of a call that begins so; what comes beside it (100, copies of what came before) is passed over.
async fn next(socket: &UdpSocket, number: usize, start: &str) -> String {
    let id = format!("\r\nCall-ID: call{number}\r\n");
    let found = timeout(PATIENCE, async {
        loop {
            let message = datagram(socket).await;
            if message.starts_with(start) && message.contains(&id) {
                return message;
            }
        }
    });
    found
        .await
        .unwrap_or_else(|_| panic!("no {start} in call {number}"))
}

/// The header lines of these names.
fn lines(message: &str, names: &[&str]) -> String {
    let named = |line: &&str| {
        let name = line.split(':').next().unwrap();
        names.contains(&name)
    };
    let lines = message.lines().filter(named);
    lines.map(|line| format!("{line}\r\n")).collect()
}

fn ok(request: &str) -> String {
    let kept = ["Via", "From", "To", "Call-ID", "CSeq", "Record-Route"];
    let mut head = lines(request, &kept);
    if !head.contains(";tag=b") {
        head = head.replace(
            "To: <sip:bob@example.org>",
            "To: <sip:bob@example.org>;tag=b",
        );
    }
    format!("SIP/2.0 200 OK\r\n{head}Content-Length: 0\r\n\r\n")
}

/// A request of alice's in call `number`, by the way that the answer to her INVITE has named.
fn within(method: &str, number: usize, phones: [&UdpSocket; 2], route: &str) -> String {
    let [alice, bob] = phones.map(|phone| phone.local_addr().unwrap());
    let cseq = if method == "ACK" { 1 } else { 2 };
    format!(
        "{method} sip:bob@{bob} SIP/2.0\r\nVia: SIP/2.0/UDP {alice};branch=z9hG4bK{method}{number}\r\nMax-Forwards: 70\r\n{route}\
         From: <sip:alice@example.org>;tag=a\r\nTo: <sip:bob@example.org>;tag=b\r\nCall-ID: call{number}\r\nCSeq: {cseq} {method}\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

/// Has alice call bob: the Route of what she says in the call.
async fn call(number: usize, alice: &UdpSocket, bob: &UdpSocket) -> String {
    let at = alice.local_addr().unwrap();
    let invite = format!(
        "INVITE sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bKcall{number}\r\nMax-Forwards: 70\r\n\
         From: <sip:alice@example.org>;tag=a\r\nTo: <sip:bob@example.org>\r\nCall-ID: call{number}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:alice@{at}>\r\nContent-Length: 0\r\n\r\n"
    );
    alice.send(invite.as_bytes()).await.unwrap();
    let invite = next(bob, number, "INVITE ").await;
    bob.send(ok(&invite).as_bytes()).await.unwrap();
    let answer = next(alice, number, "SIP/2.0 200 ").await;
    let route = lines(&answer, &["Record-Route"]).replace("Record-Route", "Route");
    assert!(!route.is_empty(), "{answer}");
    let ack = within("ACK", number, [alice, bob], &route);
    alice.send(ack.as_bytes()).await.unwrap();
    next(bob, number, "ACK ").await;
    route
}

#[tokio::test]
async fn a_thousand_calls_end_as_usual_after_the_proxy_has_started_again() {
    let server = at("127.0.0.1:0".parse().unwrap(), "a long random text", true).await;
    let listen = server.listen;
    let (alice, bob) = (phone(&server, "alice").await, phone(&server, "bob").await);
    let mut routes = Vec::new();
    for number in 0..CALLS {
        routes.push(call(number, &alice, &bob).await);
    }
    end(server).await;

    // Whoever does not know the secret wants a password.
    let other = at(listen, "another long random text", false).await;
    let bye = within("BYE", 0, [&alice, &bob], &routes[0]).replace("BYE0", "BYEfirst");
    alice.send(bye.as_bytes()).await.unwrap();
    next(&alice, 0, "SIP/2.0 407 ").await;
    end(other).await;

    let server = at(listen, "a long random text", false).await;
    for (number, route) in routes.iter().enumerate() {
        let bye = within("BYE", number, [&alice, &bob], route);
        alice.send(bye.as_bytes()).await.unwrap();
        let bye = next(&bob, number, "BYE ").await;
        bob.send(ok(&bye).as_bytes()).await.unwrap();
        next(&alice, number, "SIP/2.0 200 ").await;
    }
    end(server).await;

    // A new call succeeds as soon as its callee is registered.
    let server = at(listen, "a long random text", true).await;
    let bob = phone(&server, "bob").await;
    call(CALLS, &alice, &bob).await;
    end(server).await;
}

#[test]
fn what_seals_calls_is_the_servers_own_and_stays() {
    let config = |more: &str| {
        let text = format!("[sip]\ndomain = \"example.org\"\nlisten = \"127.0.0.1:0\"\n{more}\n");
        let config = config::parse(Path::new("sip.toml"), &text, [], &[]).unwrap();
        config.sip.unwrap()
    };
    let (plain, told) = (config(""), config("secret = \"text\""));
    let (one, other) = (Key::generate(), Key::generate());
    assert_eq!(lasting(&plain, Some(&one)), lasting(&plain, Some(&one)));
    assert_ne!(lasting(&plain, Some(&one)), lasting(&plain, Some(&other)));
    assert_eq!(lasting(&told, Some(&one)), lasting(&told, None));
    assert_ne!(lasting(&plain, None), lasting(&plain, None));
}
