-- name: begin
INSERT INTO signin_attempt (name, address, at) VALUES (%(name)s, %(address)s, %(now)s)
RETURNING id

-- name: count
SELECT count(*) FILTER (WHERE name = %(name)s AND address = %(address)s),
    count(*) FILTER (WHERE address = %(address)s),
    count(*) FILTER (WHERE name = %(name)s)
FROM signin_attempt
WHERE (name = %(name)s OR address = %(address)s) AND at > %(since)s

-- name: withdraw
DELETE FROM signin_attempt WHERE id = %(id)s

-- name: succeeded
DELETE FROM signin_attempt WHERE name = %(name)s AND address = %(address)s

-- name: forget
DELETE FROM signin_attempt WHERE at < %(since)s
