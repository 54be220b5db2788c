use std::io;
use std::time::Duration;

use machine::Machine;
use tokio::net::UdpSocket;
use turn::{Input, Output, Server};

use crate::clock::Clock;
use crate::crypto::entropy;

/// Longer datagrams are no Binding requests.
const LARGEST: usize = 2_048;

/// The STUN server at a socket, to be run until the node ends.
///
/// # Errors
/// The socket can't be used.
pub(crate) fn serve(
    socket: std::net::UdpSocket,
    clock: Clock,
) -> io::Result<impl Future<Output = ()> + Send> {
    socket.set_nonblocking(true)?;
    Ok(answer(UdpSocket::from_std(socket)?, clock))
}

async fn answer(socket: UdpSocket, clock: Clock) {
    let mut server = Server::new(turn::Config::default(), entropy());
    let mut buffer = vec![0; LARGEST];
    loop {
        let (length, from) = match socket.recv_from(&mut buffer).await {
            Ok(arrived) => arrived,
            Err(error) => {
                // An ICMP error for an earlier answer: nothing is wrong with the socket.
                tracing::debug!("STUN socket: {error}");
                tokio::time::sleep(Duration::from_millis(1)).await;
                continue;
            }
        };
        let bytes = buffer[..length].to_vec();
        server.handle_input(Input::Datagram { from, bytes }, clock.now());
        while let Some(output) = server.poll_output() {
            let Output::Send { to, bytes } = output else {
                continue;
            };
            if let Err(error) = socket.send_to(&bytes, to).await {
                tracing::debug!(%to, "STUN answer not sent: {error}");
            }
        }
    }
}
