"""What leaves the blocks of transactions, async."""

from tests._async.unwinding import *  # noqa: F403
