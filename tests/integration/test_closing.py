"""An engine that is closed, sync."""

from tests._sync.closing import *  # noqa: F403
