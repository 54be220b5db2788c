"""Builds every vector of docs/protocol.md anew and compares. Usage: vectors.py PROTOCOL.MD

Prints one line for each difference, and for each vector that only one side knows; ends with 1 if there was any.
"""

import re
import sys

from wire import *

OVERLAY_ID = b"\x11" * 16
NODE, OTHER = b"\x22" * 20, b"\x33" * 20
DEVICE = b"\x44" * 16
TIME = 1_780_272_000_000
ALICE = "sip:alice@example.org"
KEY = key("user location|alice@example.org")
# the generator of P-256: SEC 2, 2.4.2
POINT = bytes.fromhex(
    "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)


FIELDS = dict(
    overlay=OVERLAY_ID, key=KEY, owner=ALICE, instance=DEVICE, update=1, remove=2, sequence=TIME, lifetime=3600
)


def record_of(body=b"body", **changed):
    head = control(**FIELDS | changed)
    return record(head, body, b"\x30\0", b"\x55" * 64), record_signed(head, body)


RECORD, RECORD_SIGNED = record_of()
TOMBSTONE, TOMBSTONE_SIGNED = record_of(b"", removed=True)
CONTACT = OTHER + text("wss://sn2.example.org/p2psip")
SERIALS = [b"\x02" * 16, b"\x03" * 16]


def credentials():
    serial = b"\x07" * 16
    head = statement_head(NODE, serial, POINT, TIME)
    revocations = revocations_head(OVERLAY_ID, 9, TIME, SERIALS)
    yield "credential/certificate", certificate(
        overlay=OVERLAY_ID, serial=serial, issuer="Partyline", begins=TIME, ends=TIME + 604_800_000, subject="alice",
        point=POINT, usages=[USER],
        names=[uri_name(ALICE), uri_name("urn:uuid:44444444-4444-4444-4444-444444444444")],
        r=int.from_bytes(b"\x55" * 32, "big"), s=int.from_bytes(b"\xaa" * 32, "big"),
    )
    yield "credential/statement-signed", statement_signed(OVERLAY_ID, head)
    yield "credential/statement", head + b"\x55" * 64
    yield "credential/revocations-signed", b"partyline revocation list 1" + revocations
    yield "credential/revocations", revocations + b"\x55" * 64
    for name, role in ("ordinary", 1), ("super-node", 2):
        yield f"credential/challenge-{name}", challenge(
            OVERLAY_ID, role, b"\x66" * 32, b"\x88" * 32, NODE, "SN1.example.org"
        )


def records():
    yield "overlay/record", RECORD
    yield "overlay/record-signed", RECORD_SIGNED
    yield "overlay/tombstone-signed", TOMBSTONE_SIGNED
    yield "overlay/slot", slot(KEY, DEVICE, ALICE)


def association():
    def on(name, *fields):
        return f"overlay/{name}", frame(OVERLAY_ID, *fields)

    yield on("on-hello", 0, b"\x66" * 32, text("sn1.example.org"), varint(7))
    yield on("on-proof", 1, blob(b"\x30\0"), b"\x77" * 64)
    yield on("on-get", 2, varint(300), KEY, option(text(ALICE)), flag(True))
    yield on("on-put", 3, varint(301), varint(1), RECORD)
    yield on("on-put-remove", 3, varint(302), varint(2), TOMBSTONE)
    yield on("on-ping", 4, varint(5))
    yield on("on-touch", 5, varint(303), control(**FIELDS), b"\x55" * 64)
    yield on("sn-challenge", 0, b"\x88" * 32, blob(b"\x30\0"), b"\x99" * 64)
    yield on(
        "sn-welcome", 1, varint(TIME), several([CONTACT]), several([text("stun:sn1.example.org:3478")]), option(None)
    )
    yield on("sn-refused", 2, varint(3), several([CONTACT]))
    yield on("sn-records", 3, varint(300), several([RECORD]), option(None))
    yield on("sn-records-end", 3, varint(300), several([]), option(varint(0)))
    yield on("sn-put", 4, varint(301), varint(0))
    yield on("sn-put-refused", 4, varint(301), varint(1), varint(5), varint(TIME))
    yield on("sn-put-faulty", 4, varint(301), varint(1), varint(0), varint(12))
    yield on("sn-put-absent", 4, varint(303), varint(1), varint(11))
    yield on("sn-lost", 7, KEY)
    yield on("sn-pong", 5, varint(5))
    yield on("sn-revocations", 6, blob(b"\1\2"))


def links():
    def sn(name, *fields):
        return f"overlay/peer-{name}", frame(OVERLAY_ID, *fields)

    about = (
        blob(b"\xaa" * 142) + varint(TIME) + text("sn1.example.org:5062") + text("wss://sn1.example.org/p2psip")
        + b"\4"
    )
    announcement = about + b"\xbb" * 64
    gone = NODE + varint(TIME) + varint(TIME + 1_000) + option(OTHER)
    after, last = b"\x10" * 20, b"\x20" * 20
    place = slot(KEY, DEVICE, ALICE)
    yield "overlay/announcement-signed", b"partyline announcement 1\0" + OVERLAY_ID + about
    yield "overlay/departure-signed", b"partyline departure 1\0" + OVERLAY_ID + gone
    yield sn("hello", 0, option(None), flag(True))
    difference = 0x0102030405060708
    hashes = [0] * 16
    hashes[2] = difference
    yield sn("digest", 1, varint(TIME), varint(difference), varint(7))
    yield sn("branch", 2, varint(TIME), b"\0", varint(0), *map(varint, hashes))
    yield sn("members", 3, varint(TIME), b"\2", varint(0x22000000), several([NODE + varint(TIME)]))
    yield sn("announcements", 4, several([announcement]))
    yield sn("ask", 5, several([NODE]))
    yield sn("doubt", 6, NODE, varint(TIME))
    events = [varint(1) + gone + b"\xcc" * 64, varint(0) + announcement]
    yield sn("news", 7, several([OTHER + several(events)]))
    yield sn("alive", 7, several([]))
    yield sn("ping", 8, varint(5))
    yield sn("pong", 9, varint(5))
    yield sn("revocations", 10, blob(b"\1\2"))
    yield sn("find", 11, NODE, varint(400), KEY, option(None), b"\2", several([NODE]))
    yield sn("found", 12, varint(400), several([RECORD]))
    yield sn("place", 13, varint(401), varint(0), RECORD)
    yield sn("placed", 14, varint(401), varint(0))
    yield sn("compare", 15, after, last, varint(9))
    yield sn("same", 16, after, last)
    yield sn("slots", 17, after, last, several([place + varint(TIME)]), flag(False))
    yield sn("want", 18, several([place]))
    yield sn("copies", 19, several([RECORD]))
    yield sn("ack", 21, NODE, varint(400))
    yield sn("size", 22, varint(20_000), varint(9_000), varint(300))
    yield sn("fetch", 23, b"\4")
    yield sn("guides", 24)
    yield sn("who", 25, varint(403), KEY)
    yield sn("keepers", 26, varint(403), several([announcement]))
    yield sn("touch", 20, varint(402), control(**FIELDS), b"\x55" * 64)


def locations():
    def location(host, transport, node, preference):
        gruu = "sip:alice@example.org;gr=urn:uuid:11111111-1111-1111-1111-111111111111"
        return xml(
            "location", xml("node_IP", host), xml("transport", transport), xml("contact", gruu),
            xml("super_node", node), xml("preference", str(preference)),
        )

    yield "p2psip/user-location", xml(
        "resource", xml("version", "1.0"), xml("type", "user location"), xml("key", KEY.hex()),
        xml("lifetime", "3600"), xml("timestamp", "1795401240000"), xml("user_URI", "alice@example.org"),
        xml("instance", "urn:uuid:11111111-1111-1111-1111-111111111111"),
        xml("fingerprint", "sha-256 " + bytes(range(32)).hex(":").upper()), xml("trickle", "yes"),
        location("sn1.example.org", "WSS443", "a1" * 20, 1), location("192.0.2.7", "WSS8443", "a2" * 20, 2),
    )
    yield "p2psip/proxy-location", xml(
        "resource", xml("version", "1.0"), xml("type", "proxy location"),
        xml("key", key("proxy location|example.org").hex()), xml("lifetime", "36000"),
        xml("timestamp", "198023422"), xml("domain", "example.org"),
        xml("location", xml("node_IP", "178.14.234.21"), xml("transport", "TCP5060 UDP5060")),
    )


def identity():
    yield "sip/identity-header", compact({"alg": "ES256", "typ": "passport", "x5c": [b64(b"certificate")]})
    yield "sip/identity-payload", compact({
        "dest": {"uri": ["sip:bob@example.org"]}, "iat": 1_780_272_000, "jti": "call/7",
        "mky": [{"alg": "sha-256", "dig": bytes(range(32)).hex().upper()}],
        "orig": {"uri": ALICE}, "rcd": {"nam": 'A "B"'},
    })


def login():
    overlay, time, public_key = bytes(range(16)).hex(), "1795400000000", "MFkw"

    def lines(*words):
        return "\n".join(words).encode()

    yield "login/renew-text", lines("partyline renew 1", overlay, time, public_key)
    yield "login/revoke-text", lines("partyline revoke 1", overlay, time)
    yield "login/enrol-renew-text", lines(
        "partyline enrol renew 1", overlay, time, public_key, "192.0.2.1:4433",
        "https://a.example https://b.example:8443",
    )
    yield "login/report-text", lines("partyline report 1", overlay, time, "wss://a.example/p2psip", "192.0.2.1:4433")


def documented(path):
    """Texts as strings without line breaks, all else as bytes out of hexadecimal digits."""
    with open(path, encoding="utf-8") as page:
        blocks = re.findall(r"```vector (\S+)\n(.*?)```", page.read(), re.DOTALL)
    for name, block in blocks:
        is_text = name.startswith(("p2psip/", "sip/"))
        yield name, block.replace("\n", "") if is_text else bytes.fromhex(block)


def main():
    ours = {}
    for part in credentials, records, association, links, locations, identity, login:
        ours.update(part())
    theirs = dict(documented(sys.argv[1]))
    wrong = [f"{name}: only here" for name in ours.keys() - theirs.keys()]
    wrong += [f"{name}: only in the page" for name in theirs.keys() - ours.keys()]
    for name in ours.keys() & theirs.keys():
        mine, page = ours[name], theirs[name]
        if mine != page:
            show = (lambda value: value.hex()) if isinstance(mine, bytes) else str
            wrong.append(f"{name}: encoded here as {show(mine)}")
    print("\n".join(sorted(wrong)) if wrong else f"{len(ours)} vectors agree")
    sys.exit(1 if wrong else 0)


main()
