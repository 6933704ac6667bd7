-- name: newest
SELECT id, received, station, topic, reason, detail, times, newest, replayed, payload
FROM quarantine
WHERE (%(ids)s::bigint[] IS NULL OR id = ANY(%(ids)s::bigint[]))
  AND (%(reason)s::text IS NULL OR reason = %(reason)s::text)
  AND (%(station)s::text IS NULL OR station = %(station)s::text)
  AND (%(since)s::timestamptz IS NULL OR coalesce(newest, received) >= %(since)s::timestamptz)
ORDER BY id DESC LIMIT %(limit)s;

-- name: waiting
-- Of what was too large only the beginning is here: it can never pass.
SELECT id, received, station, topic, reason, detail, times, newest, replayed, payload
FROM quarantine
WHERE replayed IS NULL AND reason <> 'size' AND id > %(after)s
  AND (%(ids)s::bigint[] IS NULL OR id = ANY(%(ids)s::bigint[]))
  AND (%(reason)s::text IS NULL OR reason = %(reason)s::text)
  AND (%(station)s::text IS NULL OR station = %(station)s::text)
  AND (%(since)s::timestamptz IS NULL OR coalesce(newest, received) >= %(since)s::timestamptz)
ORDER BY id LIMIT %(limit)s;

-- name: lock
-- Two replays at once: the second waits here, and finds what is left.
SELECT id FROM quarantine WHERE id = ANY(%s) AND replayed IS NULL ORDER BY id FOR UPDATE;

-- name: passed
-- Should the same message be refused once more, it is a new row.
UPDATE quarantine SET replayed = %s, digest = NULL WHERE id = ANY(%s);

-- name: stays
UPDATE quarantine q SET reason = r.reason, detail = r.detail
FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS r (id, reason, detail)
WHERE q.id = r.id AND (q.reason, q.detail) IS DISTINCT FROM (r.reason, r.detail);
