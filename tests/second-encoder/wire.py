"""The encodings of docs/protocol.md, written from that page and the RFCs that it names, and from nothing else.

Only Python's standard library is used. `vectors.py` builds every vector of the page with these functions.
"""

import base64
import hashlib
import json
from datetime import datetime, timezone


# Section 1: numbers


def varint(number: int) -> bytes:
    """Unsigned LEB128."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def blob(value: bytes) -> bytes:
    return varint(len(value)) + value


def text(value: str) -> bytes:
    return blob(value.encode())


def flag(value: bool) -> bytes:
    return b"\1" if value else b"\0"


def several(values: list) -> bytes:
    """A list of values that are already encoded."""
    return varint(len(values)) + b"".join(values)


def option(value: bytes | None) -> bytes:
    return b"\0" if value is None else b"\1" + value


def big(number: int, size: int) -> bytes:
    return number.to_bytes(size, "big")


def frame(overlay: bytes, variant: int, *fields: bytes) -> bytes:
    return b"\1" + overlay + varint(variant) + b"".join(fields)


# Section 1: credentials


def der(tag: int, *parts: bytes) -> bytes:
    contents = b"".join(parts)
    size = len(contents)
    if size < 128:
        return bytes([tag, size]) + contents
    length = big(size, (size.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(length)]) + length + contents


def sequence(*parts: bytes) -> bytes:
    return der(0x30, *parts)


def integer(number: int) -> bytes:
    return der(0x02, big(number, number.bit_length() // 8 + 1))


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    out = b""
    for arc in [40 * first + second, *rest]:
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(arc & 0x7F | 0x80)
        out += bytes(reversed(groups))
    return der(0x06, out)


def date(milliseconds: int) -> bytes:
    moment = datetime.fromtimestamp(milliseconds / 1000, timezone.utc)
    if moment.year < 2050:
        return der(0x17, moment.strftime("%y%m%d%H%M%SZ").encode())
    return der(0x18, moment.strftime("%Y%m%d%H%M%SZ").encode())


PARTYLINE = "1.2.840.113556.1.8000.2554.59742.3308.15125.29426.6055.8194087.10962177"
OVERLAY, USER, SUPER_NODE = (f"{PARTYLINE}.{last}" for last in (1, 2, 3))
ECDSA_SHA256 = sequence(oid("1.2.840.10045.4.3.2"))


def common_name(name: str) -> bytes:
    return sequence(der(0x31, sequence(oid("2.5.4.3"), der(0x0C, name.encode()))))


def extension(identifier: str, value: bytes, critical: bool = False) -> bytes:
    return sequence(oid(identifier), der(0x01, b"\xff") if critical else b"", der(0x04, value))


def certificate(
    *, overlay: bytes, serial: bytes, issuer: str, begins: int, ends: int, subject: str,
    point: bytes, usages: list, names: list, r: int, s: int,
) -> bytes:
    key = sequence(
        sequence(oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7")), der(0x03, b"\0\4" + point)
    )
    extensions = [
        extension(OVERLAY, overlay),
        extension("2.5.29.15", der(0x03, b"\x07\x80"), critical=True),  # digitalSignature
        extension("2.5.29.37", sequence(*map(oid, usages))),
        extension("2.5.29.17", sequence(*names)),
    ]
    signed = sequence(
        der(0xA0, integer(2)), der(0x02, serial), ECDSA_SHA256, common_name(issuer),
        sequence(date(begins), date(ends)), common_name(subject), key,
        der(0xA3, sequence(*extensions)),
    )
    return sequence(signed, ECDSA_SHA256, der(0x03, b"\0", sequence(integer(r), integer(s))))


def uri_name(uri: str) -> bytes:
    return der(0x86, uri.encode())


def statement_head(node: bytes, serial: bytes, point: bytes, ends: int) -> bytes:
    compressed = (b"\3" if point[63] & 1 else b"\2") + point[:32]
    return b"\1" + node + serial + compressed + big(ends, 8)


def statement_signed(overlay: bytes, head: bytes) -> bytes:
    return b"partyline member statement 1" + overlay + head


def revocations_head(overlay: bytes, number: int, issued: int, serials: list) -> bytes:
    return b"\1" + overlay + big(number, 8) + big(issued, 8) + big(len(serials), 2) + b"".join(sorted(serials))


def challenge(overlay: bytes, role: int, ordinary: bytes, super_node: bytes, node: bytes, host: str) -> bytes:
    name = host.lower().encode()
    return (
        b"partyline association 1" + overlay + big(role, 1) + ordinary + super_node + node + big(len(name), 1) + name
    )


# Section 2: records


def key(name: str) -> bytes:
    return hashlib.sha1(name.encode()).digest()


def control(
    *, overlay: bytes, key: bytes, owner: str, instance: bytes, update: int, remove: int,
    sequence: int, lifetime: int, no_update: bool = False, removed: bool = False,
) -> bytes:
    return (
        overlay + key + text(owner) + instance + varint(update) + varint(remove) + varint(sequence)
        + varint(lifetime) + flag(no_update) + flag(removed)
    )


def record(control: bytes, body: bytes, certificate: bytes, signature: bytes) -> bytes:
    return control + blob(body) + blob(certificate) + signature


def record_signed(control: bytes, body: bytes) -> bytes:
    return b"partyline record 1\0" + control + body


def slot(key: bytes, instance: bytes, owner: str) -> bytes:
    return hashlib.sha1(key + instance + owner.encode()).digest()


def xml(name: str, *contents: str) -> str:
    return f"<{name}>{''.join(contents)}</{name}>"


# Section 5: SIP


def compact(value: dict) -> str:
    """JSON without blanks, in the order given."""
    return json.dumps(value, separators=(",", ":"))


def b64(value: bytes) -> str:
    return base64.b64encode(value).decode()
