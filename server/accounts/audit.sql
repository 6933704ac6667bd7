-- name: lock
SELECT pg_advisory_xact_lock(hashtext('audit'))

-- name: last
SELECT id, digest FROM audit ORDER BY id DESC LIMIT 1

-- name: add
INSERT INTO audit (id, at, account, name, act, subject, detail, digest)
VALUES (
    %(id)s, %(at)s, %(account)s, %(name)s, %(act)s, %(subject)s, %(detail)s::json, %(digest)s
)

-- name: page
SELECT id, at, account, name, act, subject, detail::text AS detail, digest
FROM audit
WHERE id < %(before)s AND (%(subject)s::text IS NULL OR subject = %(subject)s)
ORDER BY id DESC
LIMIT %(limit)s

-- name: chain
SELECT id, at, account, name, act, subject, detail::text AS detail, digest
FROM audit
WHERE id > %(after)s
ORDER BY id
LIMIT %(limit)s
