"""The second descriptor of a socket, by which a time limit cuts it off, and none other."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from plainsql import twin
from plainsql.twin import Twin
from tests.unit.interrupting import interrupted_everywhere

if TYPE_CHECKING:
    from collections.abc import Iterator

DESCRIPTORS = Path("/dev/fd")


def descriptors() -> int:
    return len(list(DESCRIPTORS.iterdir()))


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The ends of a line."""
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def test_to_shut_it_shuts_the_socket(ends: tuple[socket.socket, socket.socket]) -> None:
    twin = Twin(ends[0].fileno())
    twin.shut()
    twin.close()
    assert ends[1].recv(1) == b""
    assert ends[0].fileno() >= 0


def test_to_close_it_closes_a_descriptor_of_its_own(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    for _ in range(2):
        twin = Twin(ends[0].fileno())
        twin.close()
        twin.close()
    ends[0].send(b"x")
    assert ends[1].recv(1) == b"x"


@pytest.mark.skipif(not DESCRIPTORS.exists(), reason="nobody tells what is open")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_an_interrupt_between_any_two_instructions_leaves_no_descriptor_open(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    fd, before, steps = ends[0].fileno(), descriptors(), 0
    for _ in interrupted_everywhere(lambda: Twin(fd).close(), twin, "opcode"):
        steps += 1
        assert descriptors() == before
    assert steps > 10
