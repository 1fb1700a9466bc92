"""What is left in sessions, async."""

from tests._async.leaving import *  # noqa: F403
