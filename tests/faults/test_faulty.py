"""Faults of the network, sync."""

from tests._sync.faulty import *  # noqa: F403
