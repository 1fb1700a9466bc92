"""Soaks in a process of its own, in which nothing else takes memory or threads."""

from __future__ import annotations

import json
import subprocess
import sys

from tests import servers
from tests.load.footprint import Footprint, Soak

CHILDREN = {
    "sync": "from tests._sync.soaking import soak; told = soak(url, *given)",
    "async": "import asyncio; from tests._async.soaking import soak_async;"
    " told = asyncio.run(soak_async(url, *given))",
}
PROGRAM = "import json, sys; url, *given = json.load(sys.stdin); {}; print(json.dumps(told))"


def soak(url: str, table: str, side: str, count: int, *, warm_up: int, samples: int) -> Soak:
    """Run so many transactions, "sync" or "async", on a table that is not there yet."""
    rows = ", ".join(f"({number}, 0)" for number in range(1, 4))
    servers.run(
        url,
        f"CREATE TABLE {table} (id INT PRIMARY KEY, n INT NOT NULL)",
        f"INSERT INTO {table} (id, n) VALUES {rows}",
    )
    # the URL goes by stdin, not past everybody's eyes
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM.format(CHILDREN[side])],
        input=json.dumps([url, table, count, warm_up, samples]),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        cwd=servers.ROOT,
    )
    before, after, taken, *figures = json.loads(done.stdout)
    return Soak(Footprint(*before), Footprint(*after), [Footprint(*s) for s in taken], *figures)
