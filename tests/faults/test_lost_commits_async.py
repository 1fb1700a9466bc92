"""COMMITs that nobody answers, async."""

from tests._async.losing import *  # noqa: F403
