-- name: in_force
SELECT v.number, v.text, v.digest, v.author, v.note, v.written, a.since, a.author AS enacted_by,
    a.note AS enacted_note, a.at AS enacted
FROM criteria_act a JOIN criteria_version v ON v.number = a.version
WHERE a.act = 'in_force' AND a.since <= %(at)s
ORDER BY a.since DESC, a.id DESC
LIMIT 1

-- name: next_change
SELECT min(since) FROM criteria_act WHERE act = 'in_force' AND since > %(at)s

-- name: write
INSERT INTO criteria_version (text, digest, author, note, written)
VALUES (%(text)s, %(digest)s, %(author)s, %(note)s, %(written)s)
RETURNING number

-- name: act
INSERT INTO criteria_act (act, version, digest, author, note, at, trial, since)
VALUES (%(act)s, %(version)s, %(digest)s, %(author)s, %(note)s, %(at)s, %(trial)s, %(since)s)

-- name: notify
SELECT pg_notify('fenghuo_criteria', %(version)s::text)

-- name: versions
SELECT number, digest, author, note, written, length(text) AS size,
    EXISTS (SELECT FROM criteria_trial t WHERE t.digest = v.digest AND t.state = 'done') AS tried,
    (SELECT max(since) FROM criteria_act a WHERE a.version = v.number AND a.act = 'in_force') AS since
FROM criteria_version v
WHERE number < %(before)s
ORDER BY number DESC
LIMIT %(limit)s

-- name: one
SELECT number, text, digest, author, note, written FROM criteria_version WHERE number = %(number)s

-- name: acts
SELECT id, act, version, digest, author, note, at, trial, since
FROM criteria_act
WHERE %(version)s::integer IS NULL OR version = %(version)s
ORDER BY id DESC
LIMIT %(limit)s

-- name: proof
-- The newest trial of this text that came to an end.
SELECT max(id) FROM criteria_trial WHERE digest = %(digest)s AND state = 'done'
