use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use machine::Instant;

use super::answer::{Answer, contacts};
use super::{Binding, Event, Registrar};
use crate::header::Address;
use crate::message::{Message, Name, decimal};
use crate::{Peer, Uri};

/// The extensions that a REGISTER may require.
const KNOWN: [&str; 3] = ["path", "outbound", "gruu"];

/// A contact of a REGISTER: what it would be bound as, and for how long.
struct Wish {
    binding: Binding,
    seconds: u32,
}

impl Registrar {
    /// "The registrar MUST commit all or none": nothing changes before everything is checked.
    pub(super) fn take(
        &mut self,
        request: &Message,
        source: Peer,
        now: Instant,
    ) -> Result<Answer, Answer> {
        let user = request.to().and_then(|to| Uri::read(to.uri).ok());
        let user = user.filter(|user| !user.user().is_empty());
        let user = user.ok_or_else(|| Answer::refuse(400, "To is no SIP address of a user"))?;
        let unknown: Vec<&str> = request
            .list(Name::Require)
            .filter(|option| !KNOWN.iter().any(|known| option.eq_ignore_ascii_case(known)))
            .collect();
        if !unknown.is_empty() {
            let refusal = Answer::refuse(420, "Require names what this registrar does not know");
            return Err(refusal.line("Unsupported: %\r\n", &[&unknown.join(", ")]));
        }
        let aor = user.address_of_record();
        let wishes = if request.list(Name::Contact).any(|contact| contact == "*") {
            self.wildcard(request, &aor)?;
            None
        } else {
            Some(self.wishes(request, source, now)?)
        };
        let is_outbound = wishes.iter().flatten().any(|wish| wish.binding.reg_id > 0);
        let path = path(request);
        if let Some(wishes) = wishes {
            self.check_order(&aor, &wishes)?;
            self.commit(&aor, wishes, now)?;
        } else if let Some(index) = self.index(&aor) {
            if let Some(user) = &mut self.users[index as usize] {
                user.bindings.clear();
            }
            self.changed(index);
        }
        let gruu = request.lists(Name::Supported, "gruu").then_some(&user);
        let mut answer = Answer::refuse(200, "");
        answer.headers = contacts(self.find(&aor), gruu, now);
        if is_outbound {
            answer.headers += "Require: outbound\r\n";
        }
        match path {
            Some(path) => Ok(answer.line("Path: %\r\n", &[&path])),
            None => Ok(answer),
        }
    }

    /// Checks a `Contact: *`, which takes all bindings away.
    fn wildcard(&self, request: &Message, aor: &str) -> Result<(), Answer> {
        let zero = request.named("Expires").next().and_then(decimal) == Some(0);
        if request.list(Name::Contact).count() > 1 || !zero {
            let problem = "Contact * needs Expires 0 and no other contact";
            return Err(Answer::refuse(400, problem));
        }
        let bindings = self.find(aor).map(|user| user.bindings.iter());
        let (call_id, number) = (request.call_id(), request.number());
        let late = |binding: &Binding| *binding.call_id == *call_id && binding.cseq > number;
        if bindings.into_iter().flatten().any(late) {
            return Err(out_of_order());
        }
        Ok(())
    }

    fn wishes(&self, request: &Message, source: Peer, now: Instant) -> Result<Vec<Wish>, Answer> {
        let mut wishes: Vec<Wish> = Vec::new();
        let expires = request.named("Expires").next();
        for text in request.list(Name::Contact) {
            let wish = self.wish(request, text, expires, source, now)?;
            if wishes.iter().any(|other| other.binding.is(&wish.binding)) {
                return Err(Answer::refuse(400, "the same contact stands there twice"));
            }
            wishes.push(wish);
            if wishes.len() > self.limits.contacts {
                return Err(Answer::refuse(403, "too many contacts"));
            }
        }
        Ok(wishes)
    }

    fn wish(
        &self,
        request: &Message,
        text: &str,
        expires: Option<&str>,
        source: Peer,
        now: Instant,
    ) -> Result<Wish, Answer> {
        let malformed = || Answer::refuse(400, "malformed Contact");
        let contact = Address::read(text).ok_or_else(malformed)?;
        let is_sip = ["sip:", "sips:"].iter().any(|scheme| {
            let start = contact.uri.get(..scheme.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        });
        if contact.uri.len() > 1024 || is_sip && Uri::read(contact.uri).is_err() {
            return Err(malformed());
        }
        let preference = match contact.parameter("q") {
            Some(q) => preference(q).ok_or_else(malformed)?,
            None => 1000,
        };
        let asked = contact.parameter("expires").or(expires);
        let seconds = self.seconds(asked)?;
        let instance = contact.parameter("+sip.instance").unwrap_or("");
        let instance = instance.trim_start_matches('<').trim_end_matches('>');
        let reg_id = contact.parameter("reg-id").and_then(decimal).unwrap_or(0);
        let hops = request.list(Name::Via).count();
        let is_outbound = reg_id > 0
            && !instance.is_empty()
            && request.lists(Name::Supported, "outbound")
            && u32::try_from(reg_id).is_ok();
        let path = path(request);
        let edge_knows = path.as_deref().map_or(hops < 2, has_outbound);
        if is_outbound && !edge_knows {
            let problem = "the proxy before this one does not support outbound";
            return Err(Answer::refuse(439, problem));
        }
        let is_own = is_outbound || is_at_sender(request, contact.uri);
        let flow = (path.is_none() && hops < 2 && is_own).then_some(source);
        let text = plain(&contact, text);
        let place = text.find(instance).filter(|_| !instance.is_empty());
        let place = place.map_or((0, 0), |at| (at as u16, (at + instance.len()) as u16));
        let binding = Binding {
            uri: contact.uri.len() as u16,
            text,
            instance: place,
            preference,
            reg_id: if is_outbound { reg_id as u32 } else { 0 },
            cseq: request.number(),
            call_id: request.call_id().into(),
            path: path.map(String::into_boxed_str),
            flow,
            made: now,
            until: now + Duration::from_secs(u64::from(seconds)),
        };
        Ok(Wish { binding, seconds })
    }

    /// The time that is given to a contact which asks for so much. What can't be read counts as not said.
    fn seconds(&self, asked: Option<&str>) -> Result<u32, Answer> {
        let all_digits = |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let limits = &self.limits;
        let asked = asked.filter(all_digits).map(|text| {
            let number = decimal(text).unwrap_or(u64::MAX);
            u32::try_from(number).unwrap_or(u32::MAX)
        });
        match asked.unwrap_or(limits.usual) {
            0 => Ok(0),
            short if short < limits.shortest => {
                let refusal = Answer::refuse(423, "the binding would be too short");
                let least = crate::digits(u64::from(limits.shortest));
                Err(refusal.line("Min-Expires: %\r\n", &[&least]))
            }
            seconds => Ok(seconds.min(limits.longest)),
        }
    }

    /// A REGISTER that was overtaken by a later one of the same Call-ID changes nothing.
    fn check_order(&self, aor: &str, wishes: &[Wish]) -> Result<(), Answer> {
        let bindings = self.find(aor).map(|user| &user.bindings[..]).unwrap_or(&[]);
        for wish in wishes {
            let late = |old: &&Binding| {
                old.is(&wish.binding)
                    && old.call_id == wish.binding.call_id
                    && old.cseq > wish.binding.cseq
            };
            if bindings.iter().any(|old| late(&old)) {
                return Err(out_of_order());
            }
        }
        let fresh =
            |wish: &&Wish| wish.seconds > 0 && !bindings.iter().any(|old| old.is(&wish.binding));
        let more = wishes.iter().filter(fresh).count();
        if bindings.len() + more > self.limits.contacts {
            return Err(Answer::refuse(403, "too many contacts"));
        }
        Ok(())
    }

    fn commit(&mut self, aor: &str, wishes: Vec<Wish>, now: Instant) -> Result<(), Answer> {
        let known = self.index(aor).is_some();
        let binds = wishes.iter().any(|wish| wish.seconds > 0);
        if wishes.is_empty() || !known && !binds {
            return Ok(());
        }
        if !known && self.users() >= self.limits.users {
            let refusal = Answer::refuse(503, "no more users can be registered here");
            return Err(refusal.line("Retry-After: %\r\n", &["300"]));
        }
        let index = self.place(aor);
        let Some(user) = &mut self.users[index as usize] else {
            return Ok(());
        };
        let (mut changed, mut refreshed) = (false, false);
        user.bindings.retain(|binding| {
            changed |= binding.until <= now;
            binding.until > now
        });
        for Wish { binding, seconds } in wishes {
            let old = user.bindings.iter().position(|old| old.is(&binding));
            match old {
                Some(at) => {
                    let old = &mut user.bindings[at];
                    let repeated = old.cseq == binding.cseq && old.call_id == binding.call_id;
                    if seconds == 0 {
                        user.bindings.remove(at);
                        changed = true;
                    } else if !repeated {
                        changed |= !old.looks_like(&binding);
                        refreshed = true;
                        *old = binding;
                    }
                }
                None if seconds > 0 => {
                    // Most users have one contact, and there may be a million of them.
                    user.bindings.reserve_exact(1);
                    user.bindings.push(binding);
                    changed = true;
                }
                None => {}
            }
        }
        if changed {
            self.changed(index);
        } else {
            let aor = user.aor.clone();
            self.schedule(index);
            if refreshed {
                self.events.push(Event::Refreshed { aor });
            }
        }
        Ok(())
    }
}

fn out_of_order() -> Answer {
    Answer::refuse(500, "a later REGISTER of this Call-ID was here before")
}

/// The request's Path, which is the route to its contacts.
fn path(request: &Message) -> Option<String> {
    let values: Vec<&str> = request.named("Path").collect();
    (!values.is_empty()).then(|| values.join(", "))
}

/// Says whether the client's first proxy, which stands last in the Path, keeps flows (RFC 5626, section 6).
fn has_outbound(path: &str) -> bool {
    let mut elements = crate::header::elements(path);
    let last = elements.by_ref().last().and_then(Address::read);
    last.is_some_and(|last| {
        last.uri
            .split(';')
            .skip(1)
            .any(|one| one.eq_ignore_ascii_case("ob"))
    })
}

/// Says whether a contact is where the request's sender says it is itself: then the way back is the way it came.
fn is_at_sender(request: &Message, uri: &str) -> bool {
    let Some(via) = request.via() else {
        return false;
    };
    let (host, port) = via.host_and_port();
    Uri::read(uri).is_ok_and(|uri| {
        uri.host().eq_ignore_ascii_case(host) && uri.port().unwrap_or(5060) == port.unwrap_or(5060)
    })
}

/// Reads a q of at most three decimals, times 1000.
fn preference(q: &str) -> Option<u16> {
    let (whole, part) = q.split_once('.').unwrap_or((q, ""));
    let mut padded = String::from(part);
    while padded.len() < 3 {
        padded.push('0');
    }
    let (whole, part) = (decimal(whole)?, decimal(&padded)?);
    let q = whole * 1000 + part;
    (part < 1000 && padded.len() == 3 && q <= 1000).then_some(q as u16)
}

/// `<uri>` and the parameters as they stand, but for expires.
fn plain(contact: &Address<'_>, text: &str) -> Box<str> {
    let end = contact.uri.as_ptr() as usize - text.as_ptr() as usize + contact.uri.len();
    let rest = text[end..].trim_start_matches('>');
    let mut plain = String::with_capacity(text.len() + 2);
    for part in ["<", contact.uri, ">"] {
        plain.push_str(part);
    }
    let mut rest = rest.trim();
    while let Some(after) = rest.strip_prefix(';') {
        let (one, next) = crate::header::split_unquoted(after, b';');
        let one = one.trim();
        let name = one.split('=').next().unwrap_or("").trim();
        if !["expires", "pub-gruu", "temp-gruu"]
            .iter()
            .any(|own| name.eq_ignore_ascii_case(own))
        {
            plain.push(';');
            plain.push_str(one);
        }
        rest = next;
    }
    plain.into_boxed_str()
}
