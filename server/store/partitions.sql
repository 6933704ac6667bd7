-- name: partitions
-- Names of the partitions of some tables.
SELECT child.relname
FROM pg_inherits AS tie
JOIN pg_class AS child ON child.oid = tie.inhrelid
JOIN pg_class AS parent ON parent.oid = tie.inhparent
WHERE parent.relname = ANY (%s::text[]) AND parent.relnamespace = current_schema()::regnamespace
ORDER BY child.relname

-- name: drop_chunks
SELECT drop_chunks(%s::regclass, older_than => %s::timestamptz)
