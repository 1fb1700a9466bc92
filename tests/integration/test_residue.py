"""What is left in sessions, sync."""

from tests._sync.leaving import *  # noqa: F403
