"""Clusters, sync."""

from tests._sync.clustering import *  # noqa: F403
