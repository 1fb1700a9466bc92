"""plainsql for MySQL and MariaDB, on PyMySQL."""
