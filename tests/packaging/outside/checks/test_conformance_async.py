"""What every dialect must pass, async."""

from plainsql.testing.aio import *  # noqa: F403
