"""A frozen server, sync."""

from tests._sync.freezing import *  # noqa: F403
