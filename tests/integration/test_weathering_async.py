"""Work amid interrupts, async."""

from tests._async.weathering import *  # noqa: F403
