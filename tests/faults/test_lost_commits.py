"""COMMITs that nobody answers."""

from tests._sync.losing import *  # noqa: F403
