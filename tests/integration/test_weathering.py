"""Work amid interrupts, sync; and a time-out that comes out of a wait for the server."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from plainsql.deadline import within
from tests._sync.weathering import *  # noqa: F403
from tests.beside import Beside, until
from tests.gates import Gate
from tests.sessions import Sessions
from tests.steps.running import limited
from tests.storms import Elapsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from plainsql import Engine
    from tests.servers import RawConnection


PACKAGES = {"postgresql": "postgresql", "mysql": "mysql", "mariadb": "mysql"}


@contextmanager
def raising(error: BaseException) -> Iterator[None]:
    """Let a signal, SIGUSR1, raise it in the main thread."""

    def strike(number: int, frame: object) -> None:
        del number, frame
        raise error

    before = signal.signal(signal.SIGUSR1, strike)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.only_on(*PACKAGES, reason="SQLite connects in the thread that asks for it")
def test_an_interrupt_that_is_heard_with_a_new_connection_costs_it(
    make_engine: Callable[..., Engine],
    database_kind: str,
    raw_connect: Callable[[], RawConnection],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A signal that hits the connecting thread is heard by the main one as soon as that woke it."""
    sessions = Sessions(database_kind, raw_connect())
    mine = Elapsed()

    def interrupted(seconds: float, connect: Callable[[], Any]) -> Any:
        def connect_and_strike() -> Any:
            raw = connect()
            sessions.note(raw)
            signal.raise_signal(signal.SIGUSR1)
            return raw

        return within(seconds, connect_and_strike)

    engine = make_engine(pool_size=1, max_overflow=0)
    for _ in range(3):
        with monkeypatch.context() as patch, raising(mine), pytest.raises(Elapsed) as caught:
            patch.setattr(
                import_module(f"plainsql_{PACKAGES[database_kind]}.dialect"), "within", interrupted
            )
            limited(engine.connect)
        assert caught.value is mine
    sessions.until(0)
    assert sessions.opened == 3
    with engine.connect() as connection:
        assert connection.scalar("SELECT 1") == 1
    until(lambda: all(thread.name != "plainsql-connect" for thread in threading.enumerate()))


@pytest.mark.only_on("postgresql", "mysql", "mariadb", reason="SQLite hears of it when it is done")
@pytest.mark.parametrize("times", [1, 2])
def test_a_time_out_raised_out_of_a_wait_costs_the_connection(
    make_engine: Callable[..., Engine],
    database_kind: str,
    raw_connect: Callable[[], RawConnection],
    times: int,
) -> None:
    """F7: as gevent's; the answer that is still to come is nobody else's."""
    engine = make_engine(pool_size=1, max_overflow=0, pool_timeout=5)
    mine = Elapsed()

    def strike_when_it_waits() -> None:
        until(gate.is_reached)
        signal.pthread_kill(main, signal.SIGUSR1)

    main = threading.get_ident()
    with raising(mine):
        for number in range(times):
            gate = Gate(database_kind, raw_connect)
            striker = Beside(strike_when_it_waits)
            with pytest.raises(Elapsed) as caught, engine.begin() as connection:
                connection.execute(gate.sql, {"n": number})
            assert caught.value is mine
            striker.result()
            with engine.connect() as connection:
                assert connection.scalar("SELECT :n", {"n": 7}) == 7
            gate.open()
    status = engine.pool.status()
    assert (status.busy, status.idle, status.opened) == (0, 1, times + 1)
