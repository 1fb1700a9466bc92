"""What every dialect must pass, sync."""

from plainsql.testing.conformance import *  # noqa: F403
