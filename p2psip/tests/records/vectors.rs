use p2psip::location::{Protocol, Transport};
use p2psip::{Aor, LocationError, ProxyLocation, UserLocation};

use crate::{location, proxy};

/// A vector of `docs/protocol.md`, whose line breaks are for reading only.
fn vector(name: &str) -> String {
    let text = include_str!("../../../docs/protocol.md");
    let start = format!("```vector p2psip/{name}\n");
    let block = text.split_once(&start).unwrap().1;
    block.split_once("```").unwrap().0.replace('\n', "")
}

fn user_text() -> String {
    vector("user-location")
}

fn proxy_text() -> String {
    vector("proxy-location")
}

/// The example of draft §8 as it stands there, with its key made the hash of the name and its comments well-formed.
const DRAFT: &str = "   <resource>
      <version>1.0</version>
         <!-- resource format version -->
      <type>user location</type>
      <key>1e4e7869b5bbb07ae414b6eeb98f934ffeb9faf4</key>
      <lifetime> 3600 </lifetime>
      <timestamp>19809832142</timestamp>
      <user_URI> user@example.com </user_URI>
      <location>
      <node_IP>178.14.234.21</node_IP>
         <!-- the IP address at which the user can be reached-->
      <transport>TCP5060 UDP5060 TCP80 TCP443</transport>
      </location>
      <location>
      <node_IP>192.168.0.100</node_IP>
      <transport>TCP5060 UDP5060 TCP80 TCP443</transport>
      </location>
      </resource>\n";

#[test]
fn r038_r040_user_location_is_written_as_documented() {
    let text = String::from_utf8(location().to_bytes()).unwrap();
    assert_eq!(text, user_text());
    assert_eq!(UserLocation::read(user_text().as_bytes()), Ok(location()));
}

#[test]
fn r038_r041_proxy_location_is_written_as_documented() {
    let text = String::from_utf8(proxy().to_bytes()).unwrap();
    assert_eq!(text, proxy_text());
    assert_eq!(ProxyLocation::read(proxy_text().as_bytes()), Ok(proxy()));
}

#[test]
fn r040_example_of_the_draft_is_read() {
    let read = UserLocation::read(DRAFT.as_bytes()).unwrap();
    assert_eq!(read.user, Aor::read("sip:user@example.com").unwrap());
    assert_eq!((read.lifetime, read.timestamp), (3600, 19_809_832_142));
    assert_eq!(read.locations.len(), 2);
    assert_eq!(read.locations[1].address, "192.168.0.100");
    let transports = &read.locations[1].transports;
    assert_eq!(transports.len(), 4);
    assert_eq!(
        transports[3],
        Transport {
            protocol: Protocol::Tcp,
            port: 443
        }
    );
    assert_eq!((read.instance, read.trickle), (None, false));
}

#[test]
fn r038_elements_of_later_days_are_passed_over() {
    let later = user_text()
        .replace(
            "<trickle>",
            "<mood kind=\"a&amp;b\"><deep>x<y/></deep></mood><trickle>",
        )
        .replace("<contact>", "<weather/><contact>")
        .replace("WSS443", "SCTP9 WSS443 QUIC443");
    assert_eq!(UserLocation::read(later.as_bytes()), Ok(location()));
}

#[test]
fn r038_elements_come_in_any_order() {
    let moved = user_text()
        .replace("<trickle>yes</trickle>", "")
        .replace("<version>", "<trickle>yes</trickle><version>");
    assert_eq!(UserLocation::read(moved.as_bytes()), Ok(location()));
}

#[test]
fn r061_best_location_comes_first() {
    let swapped = user_text()
        .replace("<preference>1<", "<preference>9<")
        .replace("<preference>2<", "<preference>3<");
    let read = UserLocation::read(swapped.as_bytes()).unwrap();
    assert_eq!(read.locations[0].address, "192.0.2.7");
}

#[test]
fn r038_user_part_is_escaped_in_the_text_only() {
    let mut odd = location();
    odd.user = Aor::read("sip:a%3Cb%26c%22@example.org").unwrap();
    let bytes = odd.to_bytes();
    let text = core::str::from_utf8(&bytes).unwrap();
    assert!(text.contains("<user_URI>a&lt;b&amp;c\"@example.org</user_URI>"));
    assert_eq!(UserLocation::read(&bytes), Ok(odd));
}

#[test]
fn r038_what_is_not_the_format_is_refused() {
    use LocationError as E;
    let user =
        |from: &str, to: &str| UserLocation::read(user_text().replacen(from, to, 1).as_bytes());
    for (from, to, error) in [
        ("1.0", "2.0", E::Version),
        ("gr=urn", "gr=\r\nurn", E::Value),
        ("<version>1.0</version>", "", E::Missing),
        ("user location", "proxy location", E::Type),
        ("948ab", "948ac", E::Key),
        ("alice@example.org</user", "bob@example.org</user", E::Key),
        ("<key>948", "<key>94z", E::Value),
        ("<lifetime>3600", "<lifetime>-1", E::Value),
        ("<lifetime>3600", "<lifetime>4294967296", E::Value),
        ("<lifetime>3600</lifetime>", "", E::Missing),
        ("<timestamp>1", "<timestamp>+1", E::Value),
        ("alice@example.org</user", "</user", E::Value),
        ("urn:uuid:1", "urn:uuid:x", E::Value),
        ("sha-256 00", "sha-256 0", E::Value),
        ("<trickle>yes", "<trickle>maybe", E::Value),
        ("<trickle>", "<trickle>no</trickle><trickle>", E::Twice),
        ("sn1.example.org", "sn1 example", E::Value),
        ("<super_node>a1", "<super_node>", E::Value),
        ("<preference>1", "<preference>65536", E::Value),
        ("</resource>", "", E::Malformed),
        ("</resource>", "</resource><resource/>", E::Malformed),
        ("</resource>", "</resource>x", E::Malformed),
        (
            "<resource>",
            "<?xml version=\"1.0\"?><resource>",
            E::Malformed,
        ),
        ("<resource>", "<!DOCTYPE resource><resource>", E::Malformed),
        (
            "<type>user location",
            "<type><![CDATA[user location]]>",
            E::Malformed,
        ),
        ("<type>user location", "<type>&user; location", E::Malformed),
        (
            "<type>user location",
            "<type>user<b/> location",
            E::Malformed,
        ),
        ("</type>", "</tpye>", E::Malformed),
        ("</type>", "</type>stray", E::Malformed),
    ] {
        assert_eq!(user(from, to), Err(error), "{from} -> {to}");
    }
    assert_eq!(UserLocation::read(proxy_text().as_bytes()), Err(E::Type));
    assert_eq!(ProxyLocation::read(user_text().as_bytes()), Err(E::Type));
    let domain = proxy_text().replace("<domain>example.org", "<domain>example.com");
    assert_eq!(ProxyLocation::read(domain.as_bytes()), Err(E::Key));
    let without = user_text().split("<location>").next().unwrap().to_string() + "</resource>";
    assert_eq!(UserLocation::read(without.as_bytes()), Err(E::Missing));
}

#[test]
fn r038_too_much_is_refused() {
    let place = "<location><node_IP>a</node_IP><transport>WS1</transport></location>";
    let many = user_text().replace("</resource>", &(place.repeat(15) + "</resource>"));
    assert_eq!(
        UserLocation::read(many.as_bytes()),
        Err(LocationError::TooLarge)
    );
    let prints = user_text().replace(
        "<trickle>",
        &("<fingerprint>x</fingerprint>".repeat(4) + "<trickle>"),
    );
    assert_eq!(
        UserLocation::read(prints.as_bytes()),
        Err(LocationError::TooLarge)
    );
    let long = user_text().replace("<trickle>", &(" ".repeat(8192) + "<trickle>"));
    assert_eq!(
        UserLocation::read(long.as_bytes()),
        Err(LocationError::TooLarge)
    );
}
