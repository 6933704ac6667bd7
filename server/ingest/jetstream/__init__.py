"""A replicated log between the way in and the database: NATS JetStream, as a sink and as a source.

The listener's messages are published to a stream and acknowledged to the station when a quorum
of the cluster has them; writers take them out again, store them, and acknowledge after COMMIT.
A message may come twice, never not at all: storing is idempotent.
"""
