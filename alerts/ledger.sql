-- name: save
INSERT INTO warning (
    id, hazard, region, state, level, door, exercise,
    opened, since, held, decided, sent, expires, ended, number, grounds
) VALUES (
    %(id)s, %(hazard)s, %(region)s, %(state)s, %(level)s, %(door)s, %(exercise)s,
    %(opened)s, %(since)s, %(held)s, %(decided)s, %(sent)s, %(expires)s, %(ended)s, %(number)s, %(grounds)s
)
ON CONFLICT (id) DO UPDATE SET
    state = excluded.state, level = excluded.level, door = excluded.door, since = excluded.since,
    held = excluded.held, decided = excluded.decided, sent = excluded.sent,
    expires = excluded.expires, ended = excluded.ended, number = excluded.number,
    grounds = excluded.grounds;

-- name: running
SELECT id, hazard, region, state, level, door, exercise,
    opened, since, held, decided, sent, expires, ended, number, grounds
FROM warning WHERE ended IS NULL
ORDER BY hazard, region;

-- name: used
-- Events of a danger at a place since the season began that never went above a level.
SELECT count(*) FROM warning
WHERE hazard = %(hazard)s AND region = %(region)s AND exercise = %(exercise)s
    AND opened >= %(since)s AND grounds ? %(level)s AND NOT grounds ?| %(above)s::text[];

-- name: region
SELECT id, zh, en, boundary, population, sample FROM region WHERE id = %(id)s;

-- name: chain
SELECT id, warning, number, act, level, door, exercise, sent, onset, expires, evidence
FROM message WHERE warning = %(warning)s
ORDER BY number;

-- name: publish
INSERT INTO message (
    id, warning, number, act, level, door, exercise, sent, onset, expires, evidence, cap
) VALUES (
    %(id)s, %(warning)s, %(number)s, %(act)s, %(level)s, %(door)s, %(exercise)s,
    %(sent)s, %(onset)s, %(expires)s, %(evidence)s, %(cap)s
);

-- name: address
-- One row for each person and channel: those who asked for it, and whoever heard of the event before.
-- Of the end only the latter hear. Someone without a turn of the own tier comes last.
WITH heard AS (
    SELECT DISTINCT delivery.subscriber AS id
    FROM delivery JOIN message ON message.id = delivery.message
    WHERE message.warning = %(warning)s AND delivery.state NOT IN ('failed', 'expired')
), asked AS (
    SELECT subscriber.id
    FROM subscriber
    WHERE NOT %(ends)s
        AND regions @> ARRAY[%(region)s::text]
        AND (hazards = '{}' OR %(hazard)s::text = ANY(hazards))
        AND array_position(%(levels)s::text[], lowest) <= array_position(%(levels)s::text[], %(level)s::text)
        AND tier = ANY(%(tiers)s::text[])
), audience AS (
    SELECT id FROM heard UNION SELECT id FROM asked
)
INSERT INTO delivery (
    message, subscriber, channel, exercise, address, body, segments, priority, due, expires, changed
)
SELECT
    %(message)s, subscriber.id, channel.name, %(exercise)s, subscriber.phone, words.body, words.segments,
    %(urgency)s + coalesce(turn.place, 9), %(sent)s + coalesce(turn.delay, interval '0'),
    %(expires)s, %(sent)s
FROM audience
JOIN subscriber ON subscriber.id = audience.id
LEFT JOIN unnest(%(tiers)s::text[], %(places)s::integer[], %(delays)s::interval[])
    AS turn (tier, place, delay) ON turn.tier = subscriber.tier
JOIN unnest(%(languages)s::text[], %(bodies)s::text[], %(segments)s::integer[])
    AS words (language, body, segments) ON words.language = CASE
        WHEN subscriber.language = ANY(%(languages)s::text[]) THEN subscriber.language
        ELSE (%(languages)s::text[])[1]
    END
CROSS JOIN unnest(%(channels)s::text[]) AS channel (name)
ORDER BY subscriber.id;

-- name: wake
SELECT pg_notify('fenghuo_warning', %(warning)s), pg_notify('fenghuo_delivery', '');

-- name: settle
-- Receipts come late, twice and out of order: what is final stays.
UPDATE delivery SET
    state = %(state)s, provider = coalesce(%(provider)s, provider),
    problem = coalesce(%(problem)s, problem), changed = %(changed)s
WHERE id = %(id)s
    AND NOT exercise
    AND (
        state IN ('queued', 'sending', 'uncertain')
        OR (state = 'accepted' AND %(state)s::text IN ('delivered', 'failed'))
        OR (state = 'failed' AND %(state)s::text = 'delivered')
    )
RETURNING id;

-- name: summary
SELECT warning.id, warning.hazard, warning.region, warning.ended, first.level, first.door, first.sent
FROM warning
JOIN LATERAL (
    SELECT DISTINCT ON (level) level, door, sent, number
    FROM message
    WHERE message.warning = warning.id AND act IN ('issue', 'upgrade')
    ORDER BY level, number
) AS first ON true
ORDER BY warning.opened, warning.hazard, warning.region, first.number;

-- name: counts
SELECT CASE channel WHEN 'exercise' THEN 'sms' ELSE channel END AS kind, count(*)
FROM delivery GROUP BY kind ORDER BY kind;

-- name: progress
SELECT state, count(*) FROM delivery WHERE message = %(message)s GROUP BY state;
