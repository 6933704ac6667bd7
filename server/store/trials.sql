-- name: lock
-- Held while a trial runs, by the session that runs it.
SELECT pg_try_advisory_lock(hashtext('criteria_trial'))

-- name: running
SELECT max(id) FROM criteria_trial WHERE state = 'running'

-- name: bury
-- Whoever holds the lock knows that nobody else runs one.
UPDATE criteria_trial SET state = 'failed', problem = 'lost', ended = %(at)s WHERE state = 'running'

-- name: begin
INSERT INTO criteria_trial (version, digest, beside, author, start, "end", step, state, asked)
VALUES (%(version)s, %(digest)s, %(beside)s, %(author)s, %(start)s, %(end)s, %(step)s, 'running', %(asked)s)
RETURNING id

-- name: progress
UPDATE criteria_trial SET progress = %(progress)s WHERE id = %(id)s AND state = 'running'

-- name: finish
UPDATE criteria_trial
SET state = %(state)s, problem = %(problem)s, result = %(result)s, ended = %(ended)s,
    progress = CASE WHEN %(state)s = 'done' THEN 1 ELSE progress END
WHERE id = %(id)s AND state = 'running'

-- name: trial
SELECT id, version, digest, beside, author, start, "end", step, state, progress, problem, asked,
    ended, result
FROM criteria_trial WHERE id = %(id)s

-- name: forget
-- Only the newest results are kept; that a trial was made stays known.
UPDATE criteria_trial SET result = NULL
WHERE result IS NOT NULL AND id <= (SELECT max(id) FROM criteria_trial) - %(keep)s
