use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use credential::NodeId;
use machine::sort_by_key;
use overlay::Key;
use quick_xml::escape::minimal_escape;
use quick_xml::events::Event;
use quick_xml::reader::Reader;
use sip::digits;

use super::{
    Location, LocationError, MAX_FINGERPRINTS, MAX_LOCATIONS, MAXIMUM, Transport, is_address,
};

/// The texts of a record, as far as they are known.
#[derive(Default)]
pub(super) struct Fields {
    version: Option<String>,
    kind: Option<String>,
    key: Option<String>,
    lifetime: Option<String>,
    timestamp: Option<String>,
    pub(super) user: Option<String>,
    pub(super) domain: Option<String>,
    pub(super) instance: Option<String>,
    trickle: Option<String>,
    pub(super) fingerprints: Vec<String>,
    locations: Vec<Place>,
}

/// The texts of a location.
#[derive(Default)]
struct Place {
    address: Option<String>,
    transport: Option<String>,
    contact: Option<String>,
    super_node: Option<String>,
    preference: Option<String>,
}

pub(super) fn read(body: &[u8]) -> Result<Fields, LocationError> {
    if body.len() > MAXIMUM {
        return Err(LocationError::TooLarge);
    }
    let text = core::str::from_utf8(body).map_err(|_| LocationError::Malformed)?;
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_comments = true;
    reader.config_mut().expand_empty_elements = true;
    let mut fields = None;
    loop {
        match next(&mut reader)? {
            Event::Start(start) if fields.is_none() && start.name().0 == "resource" => {
                fields = Some(read_resource(&mut reader)?);
            }
            Event::Comment(_) => {}
            Event::Text(text) if is_blank(&text) => {}
            Event::Eof => return fields.ok_or(LocationError::Malformed),
            _ => return Err(LocationError::Malformed),
        }
    }
}

fn read_resource(reader: &mut Reader<&[u8]>) -> Result<Fields, LocationError> {
    let mut fields = Fields::default();
    while let Some(name) = child(reader)? {
        let slot = match name.as_ref() {
            "version" => &mut fields.version,
            "type" => &mut fields.kind,
            "key" => &mut fields.key,
            "lifetime" => &mut fields.lifetime,
            "timestamp" => &mut fields.timestamp,
            "user_URI" => &mut fields.user,
            "domain" => &mut fields.domain,
            "instance" => &mut fields.instance,
            "trickle" => &mut fields.trickle,
            "fingerprint" => {
                if fields.fingerprints.len() == MAX_FINGERPRINTS {
                    return Err(LocationError::TooLarge);
                }
                fields.fingerprints.push(leaf(reader)?);
                continue;
            }
            "location" => {
                if fields.locations.len() == MAX_LOCATIONS {
                    return Err(LocationError::TooLarge);
                }
                fields.locations.push(read_place(reader)?);
                continue;
            }
            _ => {
                skip(reader)?;
                continue;
            }
        };
        once(slot, leaf(reader)?)?;
    }
    Ok(fields)
}

fn read_place(reader: &mut Reader<&[u8]>) -> Result<Place, LocationError> {
    let mut place = Place::default();
    while let Some(name) = child(reader)? {
        let slot = match name.as_ref() {
            "node_IP" => &mut place.address,
            "transport" => &mut place.transport,
            "contact" => &mut place.contact,
            "super_node" => &mut place.super_node,
            "preference" => &mut place.preference,
            _ => {
                skip(reader)?;
                continue;
            }
        };
        once(slot, leaf(reader)?)?;
    }
    Ok(place)
}

/// The name of the next element inside; `None` at the end of the one that surrounds it.
fn child<'a>(reader: &mut Reader<&'a [u8]>) -> Result<Option<Cow<'a, str>>, LocationError> {
    loop {
        match next(reader)? {
            Event::Start(start) => return Ok(Some(Cow::Owned(start.name().0.to_string()))),
            Event::End(_) => return Ok(None),
            Event::Comment(_) => {}
            Event::Text(text) if is_blank(&text) => {}
            _ => return Err(LocationError::Malformed),
        }
    }
}

/// The text up to the end of the element, white space around it taken off.
fn leaf(reader: &mut Reader<&[u8]>) -> Result<String, LocationError> {
    let mut value = String::new();
    loop {
        match next(reader)? {
            Event::Text(text) => value.push_str(&text),
            Event::GeneralRef(reference) => value.push(match &*reference {
                "lt" => '<',
                "gt" => '>',
                "amp" => '&',
                "quot" => '"',
                "apos" => '\'',
                _ => return Err(LocationError::Malformed),
            }),
            Event::Comment(_) => {}
            Event::End(_) => {
                let value = value.trim();
                // a line break inside would be another one after the next writer
                if value.bytes().any(|byte| byte.is_ascii_control()) {
                    return Err(LocationError::Value);
                }
                return Ok(value.to_string());
            }
            _ => return Err(LocationError::Malformed),
        }
    }
}

/// Passes over an element that nobody knows.
fn skip(reader: &mut Reader<&[u8]>) -> Result<(), LocationError> {
    let mut depth = 1_u32;
    while depth > 0 {
        match next(reader)? {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth -= 1,
            Event::Text(_) | Event::Comment(_) | Event::GeneralRef(_) => {}
            _ => return Err(LocationError::Malformed),
        }
    }
    Ok(())
}

fn next<'a>(reader: &mut Reader<&'a [u8]>) -> Result<Event<'a>, LocationError> {
    reader.read_event().map_err(|_| LocationError::Malformed)
}

fn is_blank(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_whitespace())
}

fn once(slot: &mut Option<String>, value: String) -> Result<(), LocationError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(LocationError::Twice),
    }
}

/// A number without sign or blanks.
pub(super) fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn required(text: Option<&String>) -> Result<&str, LocationError> {
    text.map(String::as_str).ok_or(LocationError::Missing)
}

impl Fields {
    pub(super) fn expect_type(&self, kind: &str) -> Result<(), LocationError> {
        if required(self.version.as_ref())? != "1.0" {
            return Err(LocationError::Version);
        }
        if required(self.kind.as_ref())? != kind {
            return Err(LocationError::Type);
        }
        Ok(())
    }

    pub(super) fn key(&self) -> Result<Key, LocationError> {
        let node: NodeId = required(self.key.as_ref())?
            .parse()
            .map_err(|_| LocationError::Value)?;
        Ok(Key::from(node))
    }

    pub(super) fn lifetime(&self) -> Result<u32, LocationError> {
        let seconds = number(required(self.lifetime.as_ref())?).ok_or(LocationError::Value)?;
        u32::try_from(seconds).map_err(|_| LocationError::Value)
    }

    pub(super) fn timestamp(&self) -> Result<u64, LocationError> {
        number(required(self.timestamp.as_ref())?).ok_or(LocationError::Value)
    }

    pub(super) fn trickle(&self) -> Result<bool, LocationError> {
        match self.trickle.as_deref() {
            None | Some("no") => Ok(false),
            Some("yes") => Ok(true),
            Some(_) => Err(LocationError::Value),
        }
    }

    /// The locations, at least one, the best first.
    pub(super) fn locations(&self) -> Result<Vec<Location>, LocationError> {
        if self.locations.is_empty() {
            return Err(LocationError::Missing);
        }
        let mut locations = Vec::new();
        for place in &self.locations {
            locations.push(place.read()?);
        }
        sort_by_key(&mut locations, |location| location.preference);
        Ok(locations)
    }
}

impl Place {
    fn read(&self) -> Result<Location, LocationError> {
        let address = required(self.address.as_ref())?;
        if !is_address(address) {
            return Err(LocationError::Value);
        }
        let mut transports = Vec::new();
        // A transport that isn't known may be one of later days.
        for text in required(self.transport.as_ref())?.split_ascii_whitespace() {
            transports.extend(Transport::read(text));
        }
        let super_node = match &self.super_node {
            Some(text) => Some(text.parse().map_err(|_| LocationError::Value)?),
            None => None,
        };
        let preference = match &self.preference {
            Some(text) => number(text).and_then(|number| u16::try_from(number).ok()),
            None => Some(u16::MAX),
        };
        Ok(Location {
            address: address.to_string(),
            transports,
            contact: self.contact.clone(),
            super_node,
            preference: preference.ok_or(LocationError::Value)?,
        })
    }
}

/// Writes a record element by element.
pub(super) struct Writer {
    text: String,
}

impl Writer {
    pub(super) fn new(kind: &str, key: &Key, lifetime: u32, timestamp: u64) -> Self {
        let mut writer = Self {
            text: String::with_capacity(1024),
        };
        writer.text.push_str("<resource>");
        writer.leaf("version", "1.0");
        writer.leaf("type", kind);
        writer.leaf("key", &NodeId::from(*key).hex());
        writer.leaf("lifetime", &digits(lifetime.into()));
        writer.leaf("timestamp", &digits(timestamp));
        writer
    }

    pub(super) fn leaf(&mut self, name: &str, value: &str) {
        for part in ["<", name, ">", &minimal_escape(value), "</", name, ">"] {
            self.text.push_str(part);
        }
    }

    pub(super) fn finish(mut self, locations: &[Location]) -> Vec<u8> {
        for location in locations {
            self.text.push_str("<location>");
            self.leaf("node_IP", &location.address);
            let mut transports = String::new();
            for transport in &location.transports {
                if !transports.is_empty() {
                    transports.push(' ');
                }
                transports.push_str(transport.protocol.name());
                transports.push_str(&digits(transport.port.into()));
            }
            self.leaf("transport", &transports);
            if let Some(contact) = &location.contact {
                self.leaf("contact", contact);
            }
            if let Some(node) = location.super_node {
                self.leaf("super_node", &node.hex());
            }
            if location.preference < u16::MAX {
                self.leaf("preference", &digits(location.preference.into()));
            }
            self.text.push_str("</location>");
        }
        self.text.push_str("</resource>");
        self.text.into_bytes()
    }
}
