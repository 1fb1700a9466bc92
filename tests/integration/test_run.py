"""`Engine.run`, sync."""

from tests._sync.repeating import *  # noqa: F403
