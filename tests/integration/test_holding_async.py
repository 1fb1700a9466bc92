"""Who holds connections, async."""

from tests._async.holding import *  # noqa: F403
