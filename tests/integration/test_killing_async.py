"""Idle sessions that are killed, async."""

from tests._async.killing import *  # noqa: F403
