-- name: withdraw
DELETE FROM one_time_link
WHERE account IS NOT DISTINCT FROM %(account)s::bigint AND used IS NULL

-- name: make
INSERT INTO one_time_link (digest, kind, account, made, expires)
VALUES (%(digest)s, %(kind)s, %(account)s, %(now)s, %(expires)s)

-- name: find
SELECT link.kind, link.account, link.expires, account.name, account.title
FROM one_time_link link
LEFT JOIN account ON account.id = link.account
WHERE digest = %(digest)s
    AND used IS NULL
    AND link.expires > %(now)s
    AND account.disabled IS NULL

-- name: use
UPDATE one_time_link SET used = %(now)s
WHERE digest = %(digest)s AND used IS NULL AND expires > %(now)s
RETURNING kind
