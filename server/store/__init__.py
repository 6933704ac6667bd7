"""The PostgreSQL store: connection, schema, partitions, observations, rollups."""
