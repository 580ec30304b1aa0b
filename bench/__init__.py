"""The benchmark: the reader against a real Kafka and a real PostgreSQL, each figure beside its baseline."""
