"""Streams that nobody reads on, async."""

from tests._async.abandoning import *  # noqa: F403
