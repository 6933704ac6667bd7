-- name: live
-- Held as long as this session lives; whoever finds it free knows that the worker is gone.
SELECT pg_advisory_lock(%(kind)s::integer, %(worker)s::integer);

-- name: leave
-- The session goes back to where it was borrowed.
DO 'BEGIN UNLISTEN *; PERFORM pg_advisory_unlock_all(); END';
