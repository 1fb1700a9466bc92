"""What every dialect must pass, async: the source of `_sync`."""
