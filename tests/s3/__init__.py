"""A real S3 server on loopback, and what may go wrong on the way to it."""
