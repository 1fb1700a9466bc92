"""plainsql for SQLite, on the standard library's sqlite3."""
