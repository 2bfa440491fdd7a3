"""Header blocks of HTTP/2, on the examples of RFC 7541 and on what is none."""

import pytest

from gateway.triton.hpack import HeaderError, decode, encode


def literal(name: str, value: bytes, *, huffman: bool = False) -> bytes:
    return b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value) | (0x80 if huffman else 0)]) + value


@pytest.mark.parametrize(
    ("value", "octets"),
    [
        ("www.example.com", "f1e3c2e5f23a6ba0ab90f4ff"),  # appendix C.4
        ("no-cache", "a8eb10649cbf"),
        ("custom-value", "25a849e95bb8e8b4bf"),
        ("302", "6402"),  # appendix C.6
        ("private", "aec3771a4b"),
        ("Mon, 21 Oct 2013 20:13:21 GMT", "d07abe941054d444a8200595040b8166e082a62d1bff"),
        ("https://www.example.com", "9d29ad171863c78f0b97c8e9ae82ae43d3"),
        ("gzip", "9bd9ab"),
        (
            "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
            "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
        ),
    ],
)
def test_huffman_codes_of_the_standard(value: str, octets: str) -> None:
    assert decode(literal("x", bytes.fromhex(octets), huffman=True)) == {"x": value}


def test_what_a_server_of_grpc_sends() -> None:
    sent = b"\x20\x88\x5f\x10application/grpc" + encode([("grpc-status", "5"), ("grpc-message", "no%20such")])
    assert decode(sent) == {
        ":status": "200",
        "content-type": "application/grpc",
        "grpc-status": "5",
        "grpc-message": "no%20such",
    }
    # Names of the static table that mean nothing to a call are passed over, indexed or not. The last field counts.
    assert decode(b"\x58\x01a" + b"\x0f\x09\x01a" + b"\x08\x03503" + b"\x40\x01n\x01v") == {":status": "503", "n": "v"}


@pytest.mark.parametrize("length", [0, 1, 126, 127, 128, 254, 255, 1337, 70_000])
def test_strings_of_every_length_come_back(length: int) -> None:
    assert decode(encode([("name", "v" * length)])) == {"name": "v" * length}


@pytest.mark.parametrize(
    "block",
    [
        b"\xbe",  # the dynamic table's first entry
        b"\x80",  # index 0
        b"\x3f\xe1\x1f",  # a dynamic table of 4,096 bytes
        b"\x00\x04name",
        b"\x00\x04name\x05valu",
        b"\x00\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\x7f\xff\xff\xff\xff\xff\xff\x01",
        literal("x", b"\x00", huffman=True),  # a code that is not filled up with ones
        literal("x", b"\xff\xff", huffman=True),  # more than seven bits of that
        literal("x", b"\xff\xff\xff\xff", huffman=True),  # the end
    ],
)
def test_what_is_no_header_block_is_refused(block: bytes) -> None:
    with pytest.raises(HeaderError):
        decode(block)
