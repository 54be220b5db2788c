//! Somebody on the way between two nodes, who alters what passes and looks for words that should not be readable.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// What he did and saw.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meddler {
    /// How often he altered something.
    pub(crate) altered: Arc<AtomicU64>,
    /// How often he read the words that he looks for.
    pub(crate) read: Arc<AtomicU64>,
    /// How many TCP connections were made through him.
    pub(crate) tunnels: Arc<AtomicU64>,
    /// Whether what goes by TCP is altered.
    pub(crate) alters: Arc<AtomicBool>,
}

impl Meddler {
    /// Before a UDP address: alters every seventh datagram. Gives the address to use instead.
    pub(crate) async fn before(to: String, secret: &'static [u8]) -> (Self, SocketAddr) {
        let to: SocketAddr = to.parse().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let meddler = Self::default();
        let told = meddler.clone();
        tokio::spawn(async move {
            let mut buffer = vec![0; 65_536];
            let mut other = None;
            for number in 1_usize.. {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                let datagram = &mut buffer[..length];
                told.look(datagram, secret);
                if number.is_multiple_of(7) {
                    told.alter(datagram);
                }
                let next = if from == to { other } else { Some(to) };
                if from != to {
                    other = Some(from);
                }
                if let Some(next) = next {
                    socket.send_to(datagram, next).await.unwrap();
                }
            }
        });
        (meddler, address)
    }

    /// An HTTP proxy that alters all that goes through its tunnels as soon as it is told to. Gives its address.
    pub(crate) async fn proxy(secret: &'static [u8]) -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let meddler = Self::default();
        let told = meddler.clone();
        tokio::spawn(async move {
            while let Ok((mut inner, _)) = listener.accept().await {
                let told = told.clone();
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    while !request.ends_with(b"\r\n\r\n") {
                        request.push(inner.read_u8().await.unwrap());
                    }
                    let request = String::from_utf8(request).unwrap();
                    let target = request.split(' ').nth(1).unwrap().to_owned();
                    inner.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                    let mut outer = TcpStream::connect(&*target).await.unwrap();
                    told.tunnels.fetch_add(1, Ordering::Relaxed);
                    let ((read_in, write_in), (read_out, write_out)) =
                        (inner.split(), outer.split());
                    tokio::select! {
                        () = told.carry(read_in, write_out, secret) => {}
                        () = told.carry(read_out, write_in, secret) => {}
                    }
                });
            }
        });
        (meddler, address)
    }

    async fn carry(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        secret: &[u8],
    ) {
        let mut buffer = vec![0; 65_536];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let bytes = &mut buffer[..length];
            self.look(bytes, secret);
            if self.alters.load(Ordering::Relaxed) {
                self.alter(bytes);
            }
            if to.write_all(bytes).await.is_err() {
                return;
            }
        }
    }

    fn look(&self, bytes: &[u8], secret: &[u8]) {
        if bytes.windows(secret.len()).any(|part| part == secret) {
            self.read.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn alter(&self, bytes: &mut [u8]) {
        bytes[bytes.len() * 2 / 3] ^= 1;
        self.altered.fetch_add(1, Ordering::Relaxed);
    }
}
