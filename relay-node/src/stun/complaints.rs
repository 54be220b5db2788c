//! What the network says of packets to peers that did not arrive (ICMP), as the kernel keeps it beside a socket.

use std::io::IoSliceMut;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::libc::{SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
};

/// Complaints taken at once.
const AT_ONCE: usize = 16;
/// Room for one with all else that sockets are told of packets.
const ROOM: usize = 512;

/// One packet that did not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Complaint {
    /// Where it was to go.
    pub(super) peer: SocketAddr,
    /// Type and code of the ICMP message.
    pub(super) icmp: (u8, u8),
    /// The size that fits, where it was too large.
    pub(super) data: u32,
}

/// Lets the kernel keep them.
pub(super) fn keep(socket: &UdpSocket, v6: bool) {
    let kept = if v6 {
        setsockopt(socket, sockopt::Ipv6RecvErr, &true)
    } else {
        setsockopt(socket, sockopt::Ipv4RecvErr, &true)
    };
    if let Err(error) = kept {
        tracing::debug!("nobody will hear of peers out of reach: {error}");
    }
}

/// Takes them.
pub(super) fn take(socket: &UdpSocket) -> Vec<Complaint> {
    let mut taken = Vec::new();
    for _ in 0..AT_ONCE {
        let mut control = vec![0; ROOM];
        // Of the packet itself nothing is wanted.
        let mut packet = [0; 1];
        let mut slices = [IoSliceMut::new(&mut packet)];
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let fd = socket.as_raw_fd();
        let Ok(message) = recvmsg::<SockaddrStorage>(fd, &mut slices, Some(&mut control), flags)
        else {
            break;
        };
        let (Some(peer), Ok(controls)) = (message.address.and_then(address), message.cmsgs())
        else {
            continue;
        };
        taken.extend(controls.filter_map(|control| {
            let error = match control {
                ControlMessageOwned::Ipv4RecvErr(error, _)
                    if error.ee_origin == SO_EE_ORIGIN_ICMP =>
                {
                    error
                }
                ControlMessageOwned::Ipv6RecvErr(error, _)
                    if error.ee_origin == SO_EE_ORIGIN_ICMP6 =>
                {
                    error
                }
                _ => return None,
            };
            Some(Complaint {
                peer,
                icmp: (error.ee_type, error.ee_code),
                data: error.ee_info,
            })
        }));
    }
    taken
}

fn address(storage: SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage
        .as_sockaddr_in()
        .map(|v4| (IpAddr::V4(v4.ip()), v4.port()));
    let v6 = || {
        storage
            .as_sockaddr_in6()
            .map(|v6| (IpAddr::V6(v6.ip()), v6.port()))
    };
    v4.or_else(v6).map(SocketAddr::from)
}
