//! The sockets of one bridged call, in a task of their own.

use std::io;
use std::net::{IpAddr, SocketAddr};

use machine::Machine;
use p2psip::{Ice, Plan};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep_until;

use super::bridge::{Bridge, Input, Output};
use super::secured::Keys;
use crate::clock::Clock;
use crate::crypto::entropy;

/// Pairs of ports that are tried: RTP wants an even one, and the next for RTCP (RFC 3550, section 11).
const TRIES: usize = 64;
/// The largest packet.
const LARGEST: usize = 2_048;

/// A call whose sound is passed on, until this is dropped.
#[derive(Debug)]
pub(crate) struct Session {
    plans: mpsc::Sender<(Plan, Vec<IpAddr>)>,
    task: JoinHandle<()>,
}

/// What was opened for a call.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) session: Session,
    /// What the page is told.
    pub(crate) ice: Ice,
    /// Where the phone sends RTP.
    pub(crate) phone: SocketAddr,
}

impl Session {
    /// Opens sockets at an address; others reach them at `host`. `lost` is called when the page has gone.
    ///
    /// # Errors
    /// There are no ports.
    pub(crate) fn open(
        listen: IpAddr,
        host: IpAddr,
        keys: &Keys,
        clock: Clock,
        lost: impl FnOnce() + Send + 'static,
    ) -> io::Result<Opened> {
        let page = bind(SocketAddr::new(listen, 0))?;
        let (rtp, rtcp) = pair(listen)?;
        let ice = Ice {
            place: SocketAddr::new(host, page.local_addr()?.port()),
            ufrag: word(&entropy::<6>()),
            password: word(&entropy::<18>()),
            fingerprint: keys.fingerprint().to_owned(),
        };
        let phone = SocketAddr::new(host, rtp.local_addr()?.port());
        let now = clock.now();
        let bridge = Bridge::new(&ice, keys.clone(), clock.epoch(), now);
        let (plans, planned) = mpsc::channel(8);
        let sockets = Sockets { page, rtp, rtcp };
        let task = tokio::spawn(async move {
            if run(bridge, &sockets, planned, clock).await {
                lost();
            }
        });
        Ok(Opened {
            session: Self { plans, task },
            ice,
            phone,
        })
    }

    /// Says between whom sound is to be passed on.
    pub(crate) fn connect(&self, plan: Plan, hosts: Vec<IpAddr>) {
        // Full only if a phone changes its mind faster than anybody listens; its next word counts.
        let _ = self.plans.try_send((plan, hosts));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Sockets {
    page: UdpSocket,
    rtp: UdpSocket,
    rtcp: UdpSocket,
}

/// Runs until the page has gone (true), or nobody wants the call any more.
async fn run(
    mut bridge: Bridge,
    sockets: &Sockets,
    mut planned: mpsc::Receiver<(Plan, Vec<IpAddr>)>,
    clock: Clock,
) -> bool {
    let Sockets { page, rtp, rtcp } = sockets;
    let (mut first, mut second, mut third) = ([0; LARGEST], [0; LARGEST], [0; LARGEST]);
    loop {
        let due = bridge.poll_timeout().map(|due| clock.deadline(due));
        let due = due.unwrap_or_else(tokio::time::Instant::now);
        tokio::select! {
            Ok((length, from)) = page.recv_from(&mut first) => {
                let bytes = first[..length].to_vec();
                bridge.handle_input(Input::Page { from, bytes }, clock.now());
            }
            Ok((length, from)) = rtp.recv_from(&mut second) => {
                let bytes = second[..length].to_vec();
                bridge.handle_input(Input::Rtp { from, bytes }, clock.now());
            }
            Ok((length, from)) = rtcp.recv_from(&mut third) => {
                let bytes = third[..length].to_vec();
                bridge.handle_input(Input::Rtcp { from, bytes }, clock.now());
            }
            plan = planned.recv() => match plan {
                Some((plan, hosts)) => {
                    bridge.handle_input(Input::Connect { plan, hosts }, clock.now());
                }
                None => return false,
            },
            () = sleep_until(due) => bridge.handle_timeout(clock.now()),
        }
        while let Some(output) = bridge.poll_output() {
            // What does not fit into a socket's buffer is lost as in any network.
            let sent = match output {
                Output::Page { to, bytes } => page.try_send_to(&bytes, to),
                Output::Rtp { to, bytes } => rtp.try_send_to(&bytes, to),
                Output::Rtcp { to, bytes } => rtcp.try_send_to(&bytes, to),
                Output::Lost => return true,
            };
            if let Err(error) = sent {
                tracing::trace!("a packet of sound was not sent: {error}");
            }
        }
    }
}

/// Two ports in a row, the first of them even.
fn pair(listen: IpAddr) -> io::Result<(UdpSocket, UdpSocket)> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..TRIES {
        let first = bind(SocketAddr::new(listen, 0))?;
        let port = first.local_addr()?.port();
        if port % 2 != 0 {
            continue;
        }
        match bind(SocketAddr::new(listen, port + 1)) {
            Ok(second) => return Ok((first, second)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

fn word(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
