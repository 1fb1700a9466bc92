"""Streams that nobody reads on, sync."""

from tests._sync.abandoning import *  # noqa: F403
