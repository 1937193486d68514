"""Whole databases as single SQLite files: made of either kind of database, looked into, and loaded into either kind."""
