-- name: in_force
-- What everybody may read now, the highest level first; a closed notice is no warning yet.
SELECT warning.id AS warning, message.id AS message, message.number, message.act,
    warning.hazard, message.level, message.door, warning.region, region.zh, region.en,
    warning.exercise, warning.since, message.sent, message.onset, message.expires,
    warning.ended, message.cap
FROM warning
JOIN region ON region.id = warning.region
JOIN LATERAL (
    SELECT * FROM message
    WHERE message.warning = warning.id
        AND message.act IN ('issue', 'update', 'upgrade', 'downgrade')
    ORDER BY message.number DESC LIMIT 1
) AS message ON true
WHERE warning.ended IS NULL AND warning.state = 'issued'
    AND warning.exercise = %(exercise)s
    AND message.expires > %(now)s
    AND (%(regions)s::text[] IS NULL OR warning.region = ANY(%(regions)s::text[]))
    AND (%(hazards)s::text[] IS NULL OR warning.hazard = ANY(%(hazards)s::text[]))
    AND array_position(%(levels)s::text[], message.level) >= %(lowest)s
ORDER BY array_position(%(levels)s::text[], message.level) DESC, message.sent DESC, warning.id
LIMIT %(limit)s;

-- name: chain
-- All that everybody was told of one event, the newest first.
SELECT warning.id AS warning, message.id AS message, message.number, message.act,
    warning.hazard, message.level, message.door, warning.region, region.zh, region.en,
    warning.exercise, warning.since, message.sent, message.onset, message.expires,
    warning.ended, message.cap
FROM warning
JOIN region ON region.id = warning.region
JOIN message ON message.warning = warning.id
WHERE warning.id = %(warning)s AND warning.exercise = %(exercise)s
    AND message.act IN ('issue', 'update', 'upgrade', 'downgrade', 'cancel', 'expire')
    AND EXISTS (SELECT FROM message WHERE message.warning = %(warning)s AND act = 'issue')
ORDER BY message.number DESC
LIMIT %(limit)s;

-- name: places
SELECT id, zh, en FROM region ORDER BY id LIMIT %(limit)s;

-- name: spoken
SELECT message, body FROM script
WHERE channel = 'broadcast' AND language = %(language)s AND message = ANY(%(messages)s::uuid[]);

-- name: changed
-- When what is in force last became other than it was: somebody spoke, or a message ran out.
SELECT greatest(max(sent), max(expires) FILTER (WHERE expires <= %(now)s)) FROM message
WHERE exercise = %(exercise)s AND sent > %(since)s;
