"""Time limits, and cancel(), sync."""

from tests._sync.limiting import *  # noqa: F403
