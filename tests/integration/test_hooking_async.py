"""Hooks that fail, async."""

from tests._async.hooking import *  # noqa: F403
