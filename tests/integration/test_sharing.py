"""Users of one connection, sync."""

from tests._sync.sharing import *  # noqa: F403
