"""The storage of record: schema, engine, transactions and queries. SQL lives here alone."""
