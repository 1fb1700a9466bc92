"""The shells, async: the source of `_sync`."""
