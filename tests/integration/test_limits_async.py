"""Time limits, and cancel(), async."""

from tests._async.limiting import *  # noqa: F403
