//! CreatePermission and ChannelBind (RFC 8656 §10, §12).

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use machine::Instant;

use crate::access::addresses;
use crate::allocation::{Allocation, Full};
use crate::attribute;
use crate::message::Class;
use crate::reach::Verdict;
use crate::request::{Outcome, Refusal, Request};
use crate::server::Server;

/// RFC 8656 §12 ends it at 0x4FFF, but RFC 5766, by which coturn's and older browsers' clients choose, at 0x7FFE. On the
/// server's socket nothing else begins with these bits.
const CHANNELS: core::ops::RangeInclusive<u16> = 0x4000..=0x7ffe;

impl Server {
    pub(crate) fn create_permission(&mut self, request: &Request<'_>, now: Instant) -> Outcome {
        let number = self.own(request, now)?;
        let peers = addresses(&request.message, attribute::XOR_PEER_ADDRESS).ok_or(Refusal(400))?;
        if peers.is_empty() {
            return Err(Refusal(400));
        }
        let allocation = self.allocations.get(number).ok_or(Refusal(437))?;
        for peer in &peers {
            self.may_reach(allocation, *peer)
                .inspect_err(|_| self.counters.forbidden += 1)?;
        }
        let mut ips: Vec<IpAddr> = peers.iter().map(SocketAddr::ip).collect();
        ips.sort_unstable();
        ips.dedup();
        let allocation = self.allocations.get_mut(number).ok_or(Refusal(437))?;
        if !allocation.has_room(&ips, now) {
            return Err(Refusal(508));
        }
        for ip in ips {
            allocation.permit(ip, now);
        }
        Ok(Some(self.answer(Class::Success, &request.message)))
    }

    pub(crate) fn channel_bind(&mut self, request: &Request<'_>, now: Instant) -> Outcome {
        let number = self.own(request, now)?;
        let channel = match request.message.attribute(attribute::CHANNEL_NUMBER) {
            Some([n0, n1, ..]) => u16::from_be_bytes([*n0, *n1]),
            Some(_) | None => return Err(Refusal(400)),
        };
        let peers = addresses(&request.message, attribute::XOR_PEER_ADDRESS).ok_or(Refusal(400))?;
        let [peer] = peers[..] else {
            return Err(Refusal(400));
        };
        let allocation = self.allocations.get(number).ok_or(Refusal(437))?;
        if !CHANNELS.contains(&channel) || allocation.tcp {
            return Err(Refusal(400));
        }
        self.may_reach(allocation, peer)
            .inspect_err(|_| self.counters.forbidden += 1)?;
        let allocation = self.allocations.get_mut(number).ok_or(Refusal(437))?;
        if !allocation.has_room(&[peer.ip()], now) {
            return Err(Refusal(508));
        }
        allocation.bind(channel, peer, now).map_err(full)?;
        allocation.permit(peer.ip(), now);
        Ok(Some(self.answer(Class::Success, &request.message)))
    }

    /// Whether an allocation may send to a peer, or open a connection to it.
    pub(crate) fn may_reach(
        &self,
        allocation: &Allocation,
        peer: SocketAddr,
    ) -> Result<(), Refusal> {
        let Some(relaying) = &self.relay else {
            return Err(Refusal(403));
        };
        if !allocation.reaches(peer.ip()) {
            return Err(Refusal(443));
        }
        if relaying.reach.is_server(peer) {
            return Err(Refusal(403));
        }
        let allowed = match relaying.reach.judge(peer.ip()) {
            Verdict::Allowed => true,
            Verdict::Own => relaying.ports.is_open(peer.is_ipv6(), peer.port()),
            Verdict::Refused => false,
        };
        if allowed { Ok(()) } else { Err(Refusal(403)) }
    }
}

fn full(full: Full) -> Refusal {
    match full {
        Full::Peers => Refusal(508),
        Full::Bound => Refusal(400),
    }
}
