"""Kafka messages to columns: Avro, the schemas that are trusted, and the process that may be killed."""
