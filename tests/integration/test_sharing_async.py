"""Users of one connection, async."""

from tests._async.sharing import *  # noqa: F403
