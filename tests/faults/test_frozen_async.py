"""A frozen server, async."""

from tests._async.freezing import *  # noqa: F403
