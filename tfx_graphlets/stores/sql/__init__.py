"""ML Metadata's tables in SQLite, MySQL and PostgreSQL, read by SQL."""
