"""`AsyncEngine.run`, and what only async can do: cancel, and be of the wrong kind."""

from tests._async.repeating import *  # noqa: F403
