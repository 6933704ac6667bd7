-- name: begin
INSERT INTO session (account, digest, kind, label, address, made, seen, expires)
VALUES (
    %(account)s, %(digest)s, %(kind)s, %(label)s, %(address)s, %(now)s, %(now)s, %(expires)s
)
RETURNING id

-- name: find
SELECT session.id, session.kind, session.expires, session.seen,
    account.id, account.name, account.title, account.roles, account.regions
FROM session
JOIN account ON account.id = session.account
WHERE digest = %(digest)s
    AND session.ended IS NULL
    AND session.expires > %(now)s
    AND (session.kind = 'machine' OR session.seen > %(idle)s)
    AND account.disabled IS NULL

-- name: touch
UPDATE session SET seen = %(now)s WHERE id = %(id)s AND seen < %(now)s

-- name: every
SELECT id, account, kind, label, address, made, seen, expires
FROM session
WHERE account = %(account)s
    AND ended IS NULL
    AND expires > %(now)s
    AND (kind = 'machine' OR seen > %(idle)s)
ORDER BY seen DESC
LIMIT 1000

-- name: end
UPDATE session SET ended = %(now)s
WHERE id = %(id)s AND ended IS NULL AND (%(account)s::bigint IS NULL OR account = %(account)s)
RETURNING account

-- name: end_all
UPDATE session SET ended = %(now)s
WHERE account = %(account)s AND ended IS NULL AND id <> %(but)s AND kind = ANY (%(kinds)s)

-- name: forget
DELETE FROM session WHERE expires < %(before)s
