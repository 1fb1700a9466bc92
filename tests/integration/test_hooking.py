"""Hooks that fail, sync."""

from tests._sync.hooking import *  # noqa: F403
