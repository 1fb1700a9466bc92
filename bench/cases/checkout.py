"""Take a pooled connection and return it, untouched; absolute, for the raw one is a mere queue."""

from __future__ import annotations

from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from bench.harness import RAW, Case

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.databases import Bench
    from bench.harness import Run


class Checkout(Case):
    name = "checkout"
    rounds = 25
    is_ratio = False

    def runs(self, bench: Bench) -> dict[str, Run]:
        runs = {RAW: _by_queue(bench.raw())}
        for contender in bench.contenders:
            by = _by_session if contender.name.endswith("Session") else _by_connection
            runs[contender.name] = by(contender.connect)
        return runs

    def witness(self, bench: Bench, run: Run) -> Any:
        return run(1) is not None


def _by_queue(connection: Any) -> Run:
    pool: SimpleQueue[Any] = SimpleQueue()
    pool.put(connection)

    def run(times: int) -> Any:
        for _ in range(times):
            connection = pool.get()
            pool.put(connection)
        return connection

    return run


def _by_connection(connect: Callable[[], Any]) -> Run:
    def run(times: int) -> Any:
        for _ in range(times):
            with connect() as connection:
                pass
        return connection

    return run


def _by_session(connect: Callable[[], Any]) -> Run:
    def run(times: int) -> Any:
        for _ in range(times):
            with connect() as session:
                connection = session.connection()
        return connection

    return run
