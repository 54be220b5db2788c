//! What goes on without the login server and the bootstrap server, and what super nodes serve besides the overlay.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

#[expect(dead_code, reason = "the other tests use the rest")]
#[path = "network/phone.rs"]
mod phone;
#[expect(dead_code, reason = "the other tests use the rest")]
#[path = "network/stage.rs"]
mod stage;

use std::net::{SocketAddr, UdpSocket};

use p2psip::Event;
use phone::Phone;
use stage::Network;

async fn network() -> Network {
    tokio::task::spawn_blocking(|| Network::start(3))
        .await
        .unwrap()
}

#[tokio::test]
async fn r092_r105_members_associate_register_and_call_while_the_login_server_is_down() {
    let network = network().await;
    let (login, ws) = (network.login(), network.websockets());
    let mut alice = Phone::new(&login, &[&ws[0], &ws[1]]).await;
    // Bob has his credential, and has not been in the overlay yet.
    let mut bob = Phone::new(&login, &[&ws[2], &ws[1]]).await;
    let pid = network.ready["login"]["pid"].as_u64().unwrap() as u32;
    stage::kill(pid);
    stage::wait_until_ended(pid);

    alice.online().await;
    alice.during(bob.online()).await;
    let call = alice.call(&bob.name).await;
    let (incoming, caller) = alice.during(bob.incoming()).await;
    assert_eq!(caller, format!("sip:{}@example.org", alice.name));
    let sdp = bob.sdp();
    bob.act(|peer, now| peer.answer(incoming, &sdp, now));
    bob.during(alice.until(|event| matches!(event, Event::Answered { .. })))
        .await;
    alice.act(|peer, now| peer.hang_up(call, now));
    alice
        .during(bob.until(|event| matches!(event, Event::Ended { .. })))
        .await;
}

#[tokio::test]
async fn r112_r122_every_super_node_tells_its_users_their_address() {
    let network = network().await;
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(stage::PATIENCE)).unwrap();
    let own = client.local_addr().unwrap();
    for number in 0..3_u8 {
        let server = &network.ready["super_nodes"][usize::from(number)]["stun"];
        let server: SocketAddr = server.as_str().unwrap().parse().unwrap();
        // RFC 8489: a Binding request without attributes.
        let transaction = [number; 12];
        let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        request.extend(transaction);
        client.send_to(&request, server).unwrap();
        let mut answer = [0; 512];
        let (length, from) = client.recv_from(&mut answer).unwrap();
        assert_eq!((from, &answer[..2]), (server, &[1, 1][..]));
        assert_eq!(answer[8..20], transaction);
        // XOR-MAPPED-ADDRESS, IPv4: the port and the address under the magic cookie.
        let port = own.port().to_be_bytes();
        let expected = [
            &[0, 0x20, 0, 8, 0, 1, port[0] ^ 0x21, port[1] ^ 0x12][..],
            &[127 ^ 0x21, 0x12, 0xa4, 1 ^ 0x42],
        ]
        .concat();
        let found = answer[20..length].windows(12).any(|part| part == expected);
        assert!(found, "{:?}", &answer[..length]);
    }
}
