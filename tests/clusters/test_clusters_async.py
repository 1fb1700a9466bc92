"""Clusters, async."""

from tests._async.clustering import *  # noqa: F403
