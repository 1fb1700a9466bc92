"""Streams of a million rows, async."""

from tests._async.streaming import *  # noqa: F403
