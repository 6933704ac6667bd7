-- name: present
SELECT pg_advisory_lock_shared(%s, %s);

-- name: writers
SELECT count(*) FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 2 AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND classid = %s AND objid = %s;

-- name: take
SELECT pg_try_advisory_lock(%s, %s);

-- name: give
SELECT pg_advisory_unlock(%s, %s);
