"""An engine that is closed, async."""

from tests._async.closing import *  # noqa: F403
