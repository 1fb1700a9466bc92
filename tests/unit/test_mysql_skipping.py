"""Passing over rows of MySQL's protocol, without a server."""

from __future__ import annotations

import pytest

from plainsql_mysql.skipping import LONGEST, OutOfStepError, RowSkipper

ERROR = b"\xff\x25\x05#70100Query execution was interrupted"
EOF = b"\xfe\x00\x00\x22\x00"
#: A row that begins as the last packet does, but is long.
LONG_TEXT = b"\xfe" + (12).to_bytes(8, "little") + b"\xff\xfe and so on"


def wire(*packets: bytes, first: int = 250) -> bytes:
    """The packets as the server sends them, numbered from `first` on."""
    return b"".join(
        len(packet).to_bytes(3, "little") + bytes([(first + n) % 256]) + packet
        for n, packet in enumerate(packets)
    )


ROWS = (b"\x011", b"\xfb", b"\x04\xff\xfe\xff\xfe", LONG_TEXT, b"\x00") * 3


@pytest.mark.parametrize("last", [ERROR, EOF], ids=["error", "end of rows"])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 11, 64, 1000])
def test_the_last_packet_is_found_however_the_pieces_are_cut(last: bytes, size: int) -> None:
    sent = wire(*ROWS, last)
    skipper = RowSkipper(250)
    pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
    assert [skipper.feed(piece) for piece in pieces] == [None] * (len(pieces) - 1) + [last]


def test_every_cut_in_two_finds_it() -> None:
    sent = wire(*ROWS, ERROR)
    for at in range(1, len(sent)):
        skipper = RowSkipper(250)
        assert (skipper.feed(sent[:at]), skipper.feed(sent[at:])) == (None, ERROR)


def test_what_continues_a_packet_is_no_last_one() -> None:
    sent = wire(b"\xfd" + b"x" * (LONGEST - 1), EOF, b"\xfd" + b"x" * (LONGEST - 1), b"", EOF)
    assert RowSkipper(250).feed(sent) == EOF


def test_a_packet_that_is_missing_is_an_error() -> None:
    with pytest.raises(OutOfStepError, match="packet 251 is missing"):
        RowSkipper(250).feed(wire(b"\x011") + wire(EOF, first=252))


def test_nothing_may_follow_the_last_packet() -> None:
    with pytest.raises(OutOfStepError, match="follows"):
        RowSkipper(250).feed(wire(b"\x011", EOF, b"\x012"))
