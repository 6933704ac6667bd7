-- name: lock
SELECT pg_advisory_xact_lock(hashtext('account'))

-- name: any
SELECT EXISTS (SELECT FROM account)

-- name: every
SELECT account.id, name, title, roles, regions, added, disabled, password IS NOT NULL AS ready,
    (SELECT max(seen) FROM session WHERE session.account = account.id) AS seen
FROM account
WHERE %(id)s::bigint IS NULL OR account.id = %(id)s
ORDER BY name
LIMIT %(limit)s

-- name: number
SELECT id FROM account WHERE name = %(name)s

-- name: secret
SELECT id, name, password FROM account WHERE name = %(name)s AND disabled IS NULL

-- name: add
INSERT INTO account (name, title, roles, regions, added)
VALUES (%(name)s, %(title)s, %(roles)s, %(regions)s, %(now)s)
ON CONFLICT (name) DO NOTHING
RETURNING id

-- name: change
UPDATE account
SET title = %(title)s, roles = %(roles)s, regions = %(regions)s, disabled = %(disabled)s
WHERE id = %(id)s

-- name: set_password
UPDATE account SET password = %(password)s, title = coalesce(%(title)s, title) WHERE id = %(id)s

-- name: rehash
UPDATE account SET password = %(password)s WHERE id = %(id)s AND password = %(old)s

-- name: other_admins
-- Who could still let others in.
SELECT count(*) FROM account
WHERE 'admin' = ANY (roles) AND disabled IS NULL AND password IS NOT NULL AND id <> %(id)s

-- name: unknown_regions
SELECT name FROM unnest(%(regions)s::text[]) name WHERE name NOT IN (SELECT id FROM region)
