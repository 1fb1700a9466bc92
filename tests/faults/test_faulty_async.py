"""Faults of the network, async."""

from tests._async.faulty import *  # noqa: F403
