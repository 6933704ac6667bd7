-- name: newest
SELECT number, text FROM policy_version ORDER BY number DESC LIMIT 1;

-- name: versions
SELECT number, author, note, written, length(text) AS size FROM policy_version
ORDER BY number DESC LIMIT %(limit)s;

-- name: one
SELECT number, text, author, note, written FROM policy_version WHERE number = %(number)s;

-- name: write
-- Two who write at once do it one after the other.
WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock(hashtext('policy_version')))
INSERT INTO policy_version (text, author, note, written)
SELECT %(text)s, %(author)s, %(note)s, %(written)s FROM turn
RETURNING number;

-- name: before
SELECT max(number) FROM policy_version WHERE number < %(number)s;
