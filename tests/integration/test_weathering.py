"""Work amid interrupts, sync; and a time-out that comes out of a wait for the server."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import pytest

from tests._sync.weathering import *  # noqa: F403
from tests.beside import Beside, until
from tests.gates import Gate
from tests.storms import Elapsed

if TYPE_CHECKING:
    from collections.abc import Callable

    from plainsql import Engine
    from tests.servers import RawConnection


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

    def strike(number: int, frame: object) -> None:
        del number, frame
        raise mine

    def strike_when_it_waits() -> None:
        until(gate.is_reached)
        signal.pthread_kill(main, signal.SIGALRM)

    main = threading.get_ident()
    before = signal.signal(signal.SIGALRM, strike)
    try:
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
    finally:
        signal.signal(signal.SIGALRM, before)
    status = engine.pool.status()
    assert (status.busy, status.idle, status.opened) == (0, 1, times + 1)
