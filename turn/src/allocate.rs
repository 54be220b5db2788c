//! Allocate and Refresh (RFC 8656 §7, §8).

use alloc::boxed::Box;
use core::net::SocketAddr;
use core::time::Duration;
use machine::Instant;

use crate::access::Identity;
use crate::allocation::{Allocation, Leg, Opening};
use crate::attribute;
use crate::message::{Builder, Class, Message};
use crate::ports::Wish;
use crate::request::{Outcome, Refusal, Request, prove};
use crate::server::{Client, Output, RelayId, Reservation, Server, Timer};
use crate::slab::Number;

/// RFC 8656 §3.2: "The default lifetime ... 10 minutes"; and one hour at most.
const LIFETIME: u32 = 600;
const LONGEST: u32 = 3_600;
/// RFC 8656 §7.2: a kept port waits for "at least 30 seconds".
const RESERVED: Duration = Duration::from_secs(30);
/// How long sockets may take to open.
const OPENING: Duration = Duration::from_secs(10);
/// Ports that are tried when other programs have them.
const TRIES: u8 = 8;
const UDP: u8 = 17;
const TCP: u8 = 6;

/// What a request asks for, as far as it makes sense.
struct Wanted {
    tcp: bool,
    /// By family, IPv4 and IPv6: wanted at all; and not merely as an addition.
    families: [bool; 2],
    needed: [bool; 2],
    wish: Wish,
    token: Option<[u8; 8]>,
}

impl Server {
    pub(crate) fn allocate(&mut self, request: &Request<'_>, now: Instant) -> Outcome {
        if let Some(known) = self
            .clients
            .get(&request.client)
            .and_then(|number| self.allocations.get(*number))
        {
            if known.transaction != request.message.transaction() {
                return Err(Refusal(437));
            }
            if let Some(answer) = known.answer.clone() {
                self.tell(request.client, answer);
            }
            return Ok(None);
        }
        if !request.good {
            return Err(Refusal(401));
        }
        let wanted = wanted(request)?;
        let mut missing = None;
        let mut families = wanted.families;
        let relaying = self.relay.as_ref().ok_or(Refusal(400))?;
        for (family, wanted) in families.iter_mut().enumerate() {
            if *wanted && relaying.addresses[family].is_none() {
                *wanted = false;
                missing = Some((family as u8 + 1, 440));
            }
        }
        if families == [false; 2] {
            return Err(Refusal(440));
        }
        if self.allocations.len() >= relaying.allocations {
            return Err(Refusal(508));
        }
        // A kept port counts until it is taken.
        let most = relaying.quota.allocations + u32::from(wanted.token.is_some());
        let lifetime = lifetime(&request.message);
        let identity = self.identity(&request.identity);
        if self
            .identities
            .get(identity)
            .is_none_or(|identity| identity.allocations >= most)
        {
            self.release(identity, 0);
            return Err(Refusal(486));
        }
        let legs = self
            .take_ports(&wanted, families, identity)
            .inspect_err(|_| self.release(identity, 0))?;
        let transaction = request.message.transaction();
        let mut allocation =
            Allocation::new(request.client, request.owner.clone(), identity, transaction);
        allocation.tcp = wanted.tcp;
        allocation.legs = legs;
        allocation.expires = now + OPENING;
        allocation.opening = Some(Box::new(Opening {
            request: request.message.bytes().to_vec(),
            from: request.from,
            lifetime,
            reservation: wanted.token,
            wish: wanted.wish,
            failed: 0,
            needed: wanted.needed,
            missing,
        }));
        let number = self.allocations.insert(allocation);
        self.clients.insert(request.client, number);
        if let Some(identity) = self.identities.get_mut(identity) {
            identity.allocations += u32::from(wanted.token.is_none());
        }
        self.wheel.set(now + OPENING, Timer::Allocation(number));
        self.ask_for_sockets(number, legs);
        Ok(None)
    }

    fn take_ports(
        &mut self,
        wanted: &Wanted,
        families: [bool; 2],
        identity: Number,
    ) -> Result<[Option<Leg>; 2], Refusal> {
        if let Some(token) = wanted.token {
            let kept = self
                .reservations
                .get(&token)
                .filter(|kept| kept.identity == identity);
            let Some(Reservation { v6, port, .. }) = kept.copied() else {
                return Err(Refusal(508));
            };
            self.reservations.remove(&token);
            let mut legs = [None; 2];
            legs[usize::from(v6)] = Some(Leg { port, open: false });
            return Ok(legs);
        }
        let Some(relaying) = &self.relay else {
            return Err(Refusal(400));
        };
        let mut legs = [None; 2];
        for v6 in [false, true]
            .into_iter()
            .filter(|v6| families[usize::from(*v6)])
        {
            match relaying.ports.take(v6, wanted.wish, &mut self.rng) {
                Some(port) => legs[usize::from(v6)] = Some(Leg { port, open: false }),
                None => {
                    if let Some(Leg { port, .. }) = legs[0] {
                        relaying.ports.give(false, port);
                    }
                    return Err(Refusal(508));
                }
            }
        }
        Ok(legs)
    }

    fn ask_for_sockets(&mut self, number: Number, legs: [Option<Leg>; 2]) {
        let Some(allocation) = self.allocations.get(number) else {
            return;
        };
        let tcp = allocation.tcp;
        for v6 in [false, true] {
            if let Some(Leg { port, open: false }) = legs[usize::from(v6)]
                && let Some(relaying) = &self.relay
                && let Some(place) = relaying.addresses[usize::from(v6)]
            {
                self.outbox.push(Output::Bind {
                    relay: RelayId {
                        allocation: number,
                        v6,
                    },
                    address: SocketAddr::new(place.local, port),
                    tcp,
                });
            }
        }
    }

    pub(crate) fn bound(&mut self, relay: RelayId, now: Instant) {
        let Some(allocation) = self.allocations.get_mut(relay.allocation) else {
            return;
        };
        let Some(leg) = &mut allocation.legs[usize::from(relay.v6)] else {
            return;
        };
        leg.open = true;
        if let Some(relaying) = &self.relay {
            relaying.ports.set_open(relay.v6, leg.port);
        }
        self.finish_opening(relay.allocation, now);
    }

    pub(crate) fn bind_failed(&mut self, relay: RelayId, now: Instant) {
        let number = relay.allocation;
        let (Some(allocation), Some(relaying)) = (self.allocations.get_mut(number), &self.relay)
        else {
            return;
        };
        let (Some(leg), Some(opening)) = (
            allocation.legs[usize::from(relay.v6)],
            &mut allocation.opening,
        ) else {
            return;
        };
        // Another first, and then back: else it might be the same.
        opening.failed += 1;
        let another = (opening.failed <= TRIES && opening.reservation.is_none())
            .then(|| relaying.ports.take(relay.v6, opening.wish, &mut self.rng))
            .flatten();
        relaying.ports.give(relay.v6, leg.port);
        if opening.wish == Wish::Pair {
            relaying.ports.give(relay.v6, leg.port + 1);
        }
        let leg = another.map(|port| Leg { port, open: false });
        allocation.legs[usize::from(relay.v6)] = leg;
        if leg.is_some() {
            let mut only = [None; 2];
            only[usize::from(relay.v6)] = leg;
            self.ask_for_sockets(number, only);
        } else if opening.needed[usize::from(relay.v6)] {
            self.refuse_opening(number);
        } else {
            opening.missing = Some((u8::from(relay.v6) + 1, 508));
            self.finish_opening(number, now);
        }
    }

    fn refuse_opening(&mut self, number: Number) {
        let Some(allocation) = self.allocations.get_mut(number) else {
            return;
        };
        let (client, key, opening) = (
            allocation.client,
            allocation.owner.key.clone(),
            allocation.opening.take(),
        );
        self.free(number);
        if let Some(opening) = opening
            && let Ok(message) = Message::read(&opening.request)
        {
            let answer = self.error(&message, Refusal(508));
            self.tell(client, prove(answer, &message, &key));
        }
    }

    /// Answers, if all sockets are there.
    fn finish_opening(&mut self, number: Number, now: Instant) {
        let (Some(allocation), Some(relaying)) = (self.allocations.get_mut(number), &self.relay)
        else {
            return;
        };
        if allocation.legs.iter().flatten().any(|leg| !leg.open) {
            return;
        }
        let Some(opening) = allocation.opening.take() else {
            return;
        };
        let Ok(message) = Message::read(&opening.request) else {
            return;
        };
        allocation.expires = now + opening.lifetime;
        let (client, key, identity, legs) = (
            allocation.client,
            allocation.owner.key.clone(),
            allocation.identity,
            allocation.legs,
        );
        let mut answer = Builder::new(Class::Success, message.method(), message.transaction());
        for (leg, place) in legs.iter().zip(relaying.addresses) {
            if let (Some(leg), Some(place)) = (leg, place) {
                let address = SocketAddr::new(place.public, leg.port);
                answer = answer.xor_address(attribute::XOR_RELAYED_ADDRESS, address);
            }
        }
        let seconds = opening.lifetime.as_secs() as u32;
        answer = answer.attribute(attribute::LIFETIME, &seconds.to_be_bytes());
        if let Some((family, code)) = opening.missing {
            let reason = Refusal(code).reason().as_bytes();
            let head = [family, 0, (code / 100) as u8, (code % 100) as u8];
            answer = answer.attribute(attribute::ADDRESS_ERROR_CODE, &[&head[..], reason].concat());
        }
        if opening.wish == Wish::Pair {
            let token = self.reserve(legs, identity, now);
            answer = answer.attribute(attribute::RESERVATION_TOKEN, &token);
        }
        answer = answer.xor_address(attribute::XOR_MAPPED_ADDRESS, opening.from);
        let answer = prove(answer, &message, &key);
        if let Some(allocation) = self.allocations.get_mut(number) {
            allocation.answer = Some(answer.clone());
        }
        self.counters.allocated += 1;
        self.tell(client, answer);
    }

    /// Keeps the port after that of an allocation.
    fn reserve(&mut self, legs: [Option<Leg>; 2], identity: Number, now: Instant) -> [u8; 8] {
        let token = self.rng.bytes();
        let v6 = legs[0].is_none();
        let port = legs.iter().flatten().next().map_or(0, |leg| leg.port + 1);
        let expires = now + RESERVED;
        let kept = Reservation {
            v6,
            port,
            identity,
            expires,
        };
        self.reservations.insert(token, kept);
        // A kept port counts, or a loop would take them all.
        if let Some(identity) = self.identities.get_mut(identity) {
            identity.allocations += 1;
        }
        self.wheel.set(expires, Timer::Reservation(token));
        token
    }

    pub(crate) fn drop_reservation(&mut self, token: [u8; 8]) {
        if let Some(kept) = self.reservations.remove(&token) {
            if let Some(relaying) = &self.relay {
                relaying.ports.give(kept.v6, kept.port);
            }
            self.release(kept.identity, 1);
        }
    }

    pub(crate) fn refresh(&mut self, request: &Request<'_>, now: Instant) -> Outcome {
        let number = self.own(request, now)?;
        let allocation = self.allocations.get_mut(number).ok_or(Refusal(437))?;
        let family = match request
            .message
            .attribute(attribute::REQUESTED_ADDRESS_FAMILY)
        {
            None => None,
            Some([family @ (1 | 2), ..]) if allocation.legs[usize::from(*family) - 1].is_some() => {
                Some(usize::from(*family) - 1)
            }
            Some(_) => return Err(Refusal(443)),
        };
        let end = request.message.attribute(attribute::LIFETIME) == Some(&[0; 4]);
        let lifetime = if end {
            Duration::ZERO
        } else {
            lifetime(&request.message)
        };
        if end {
            match family {
                Some(family) if allocation.legs[1 - family].is_some() => {
                    self.drop_leg(number, family == 1)
                }
                Some(_) | None => self.free(number),
            }
        } else {
            allocation.expires = now + lifetime;
        }
        let seconds = lifetime.as_secs() as u32;
        let answer = self.answer(Class::Success, &request.message);
        Ok(Some(
            answer.attribute(attribute::LIFETIME, &seconds.to_be_bytes()),
        ))
    }

    fn drop_leg(&mut self, number: Number, v6: bool) {
        let Some(allocation) = self.allocations.get_mut(number) else {
            return;
        };
        let pair = allocation
            .opening
            .as_ref()
            .is_some_and(|opening| opening.wish == Wish::Pair);
        let Some(leg) = allocation.legs[usize::from(v6)].take() else {
            return;
        };
        if let Some(relaying) = &self.relay {
            relaying.ports.give(v6, leg.port);
            if pair {
                relaying.ports.give(v6, leg.port + 1);
            }
        }
        let relay = RelayId {
            allocation: number,
            v6,
        };
        self.outbox.push(Output::Unbind { relay });
    }

    /// Ends an allocation with all that belongs to it.
    pub(crate) fn free(&mut self, number: Number) {
        self.drop_leg(number, false);
        self.drop_leg(number, true);
        let Some(allocation) = self.allocations.remove(number) else {
            return;
        };
        self.clients.remove(&allocation.client);
        for connection in allocation.connections {
            self.hang_up(connection);
        }
        self.release(allocation.identity, 1);
    }

    fn identity(&mut self, name: &str) -> Number {
        if let Some(number) = self.access.known.get(name) {
            return *number;
        }
        let number = self.identities.insert(Identity::new(name.into()));
        self.access.known.insert(name.into(), number);
        number
    }

    /// Takes something off what an identity has, and forgets it when it has nothing.
    fn release(&mut self, number: Number, allocations: u32) {
        let Some(identity) = self.identities.get_mut(number) else {
            return;
        };
        identity.allocations = identity.allocations.saturating_sub(allocations);
        if identity.allocations == 0
            && let Some(identity) = self.identities.remove(number)
        {
            self.access.known.remove(&identity.name);
        }
    }
}

/// RFC 8656 §7.2: the wish, but no less than the default and no more than the most.
fn lifetime(message: &Message<'_>) -> Duration {
    let wish = message
        .attribute(attribute::LIFETIME)
        .and_then(|value| value.try_into().ok());
    let wish = wish.map_or(LIFETIME, u32::from_be_bytes);
    Duration::from_secs(u64::from(wish.clamp(LIFETIME, LONGEST)))
}

fn wanted(request: &Request<'_>) -> Result<Wanted, Refusal> {
    let message = &request.message;
    let has = |kind| message.attribute(kind).is_some();
    if has(attribute::MOBILITY_TICKET) {
        return Err(Refusal(405));
    }
    let tcp = match message.attribute(attribute::REQUESTED_TRANSPORT) {
        Some([UDP, ..]) => false,
        Some([TCP, ..]) => true,
        Some([_, ..]) => return Err(Refusal(442)),
        Some([]) | None => return Err(Refusal(400)),
    };
    let by_datagram = matches!(request.client, Client::Datagram(_));
    // RFC 6062 §5.1: over UDP, or with one of these, "the server MUST reject the request with a 400".
    let unfit = [
        attribute::EVEN_PORT,
        attribute::RESERVATION_TOKEN,
        attribute::DONT_FRAGMENT,
    ];
    if tcp && (by_datagram || unfit.into_iter().any(has)) {
        return Err(Refusal(400));
    }
    let token = match message.attribute(attribute::RESERVATION_TOKEN) {
        None => None,
        Some(token) => Some(token.try_into().map_err(|_| Refusal(400))?),
    };
    let wish = match message.attribute(attribute::EVEN_PORT) {
        None => Wish::Any,
        Some([next, ..]) if next & 0x80 != 0 => Wish::Pair,
        Some([_, ..]) => Wish::Even,
        Some([]) => return Err(Refusal(400)),
    };
    let (mut families, mut needed) = ([true, false], [true, false]);
    let requested = message.attribute(attribute::REQUESTED_ADDRESS_FAMILY);
    match requested {
        None | Some([1, ..]) => {}
        Some([2, ..]) => (families, needed) = ([false, true], [false, true]),
        Some([_, ..]) => return Err(Refusal(440)),
        Some([]) => return Err(Refusal(400)),
    }
    if let Some(additional) = message.attribute(attribute::ADDITIONAL_ADDRESS_FAMILY) {
        // RFC 8656 §7.2: it "MUST" be IPv6, and stands neither with another family nor with a kept port.
        if additional.first() != Some(&2)
            || requested.is_some()
            || token.is_some()
            || wish == Wish::Pair
        {
            return Err(Refusal(400));
        }
        families = [true, true];
    }
    if token.is_some() && (wish != Wish::Any || requested.is_some()) {
        return Err(Refusal(400));
    }
    Ok(Wanted {
        tcp,
        families,
        needed,
        wish,
        token,
    })
}
