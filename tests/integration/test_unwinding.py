"""What leaves the blocks of transactions, sync."""

from tests._sync.unwinding import *  # noqa: F403
