"""Who holds connections, sync."""

from tests._sync.holding import *  # noqa: F403
