-- name: recipient
SELECT subscriber FROM delivery WHERE id = %(delivery)s;

-- name: alone
-- Codes are counted and made one after the other: together they would pass the limits.
SELECT pg_advisory_xact_lock(hashtext('passcode'));

-- name: counted
SELECT
    count(*) FILTER (WHERE digest = %(digest)s AND made > %(at)s - interval '15 minutes') AS soon,
    count(*) FILTER (WHERE digest = %(digest)s) AS day,
    count(*) FILTER (WHERE origin = %(origin)s AND made > %(at)s - interval '1 hour') AS origin,
    count(*) FILTER (WHERE made > %(at)s - interval '1 hour') AS every
FROM passcode WHERE made > %(at)s - interval '1 day';

-- name: make
INSERT INTO passcode (
    id, channel, way, exercise, address, digest, origin, code, subject, body, language, state, made, due, expires
) VALUES (
    %(id)s, %(channel)s, %(way)s, %(exercise)s, %(address)s, %(digest)s, %(origin)s, %(code)s,
    %(subject)s, %(body)s, %(language)s, %(state)s, %(at)s, %(at)s, %(expires)s
);

-- name: wake
SELECT pg_notify('fenghuo_code', '');

-- name: attempt
UPDATE passcode SET tries = tries + 1
WHERE id = %(id)s AND used IS NULL AND expires > %(at)s AND tries < %(most)s
RETURNING code, tries;

-- name: open
UPDATE passcode SET used = %(at)s, session = %(session)s, body = NULL WHERE id = %(id)s;

-- name: session
SELECT way, address FROM passcode WHERE session = %(session)s AND used > %(since)s;

-- name: close
UPDATE passcode SET session = NULL WHERE session = %(session)s;

-- name: waiting
SELECT way, address, CASE WHEN exercise THEN body END FROM passcode
WHERE id = %(id)s AND used IS NULL AND expires > %(at)s AND tries < %(most)s;

-- name: claim
UPDATE passcode SET state = 'sending', attempts = attempts + 1
FROM (
    SELECT id FROM passcode
    WHERE state = 'queued' AND NOT exercise AND due <= %(at)s AND expires > %(at)s AND channel = ANY(%(channels)s::text[])
    ORDER BY due LIMIT %(limit)s FOR UPDATE SKIP LOCKED
) AS taken
WHERE passcode.id = taken.id
RETURNING passcode.id, channel, exercise, way, address AS sealed, body AS text, subject, language, expires, attempts;

-- name: report
UPDATE passcode SET state = %(state)s, due = %(due)s,
    body = CASE WHEN %(state)s = 'queued' THEN body END
WHERE id = %(id)s AND state = 'sending';

-- name: tidy
DELETE FROM passcode WHERE id IN (
    SELECT id FROM passcode WHERE made < %(before)s ORDER BY made LIMIT %(limit)s
);
