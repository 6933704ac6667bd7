"""The real servers that tests need, without Docker and without root."""
