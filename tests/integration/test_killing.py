"""Idle sessions that are killed, sync."""

from tests._sync.killing import *  # noqa: F403
