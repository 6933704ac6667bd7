-- name: warnings
-- Warnings that were ever published, with the chain of their messages; the newest first.
SELECT warning.id, warning.hazard, warning.region, region.zh, region.en, region.sample,
    warning.state, warning.level, warning.door, warning.exercise, warning.opened, warning.since,
    warning.held, warning.expires, warning.ended, chain.messages,
    warning.grounds -> warning.level -> 'evidence' AS evidence
FROM warning
JOIN region ON region.id = warning.region
JOIN LATERAL (
    SELECT
        jsonb_agg(
            jsonb_build_object(
                'id', message.id, 'number', message.number, 'act', message.act,
                'level', message.level, 'door', message.door,
                'sent', to_char(message.sent AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                'onset', to_char(message.onset AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                'expires', to_char(message.expires AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
            ) ORDER BY message.number
        ) AS messages
    FROM message WHERE message.warning = warning.id
) chain ON chain.messages IS NOT NULL
WHERE (%(ids)s::uuid[] IS NULL OR warning.id = ANY(%(ids)s::uuid[]))
    AND (%(running)s::boolean IS NULL OR (warning.ended IS NULL) = %(running)s::boolean)
    AND (%(hazard)s::text IS NULL OR warning.hazard = %(hazard)s::text)
    AND (%(region)s::text IS NULL OR warning.region = %(region)s::text)
    AND (%(level)s::text IS NULL OR warning.level = %(level)s::text)
    AND (%(ended_after)s::timestamptz IS NULL
        OR warning.ended IS NULL OR warning.ended > %(ended_after)s::timestamptz)
ORDER BY warning.ended IS NULL DESC, coalesce(warning.ended, warning.since) DESC, warning.id
LIMIT %(limit)s;

-- name: cap
SELECT cap FROM message WHERE id = %(id)s;

-- name: lately
-- Documents of events that are in force or ended not long ago; the newest first.
SELECT message.id::text, message.sent, message.expires, message.cap
FROM message JOIN warning ON warning.id = message.warning
WHERE message.exercise = %(exercise)s
    AND coalesce(warning.ended, warning.expires) > %(since)s::timestamptz
ORDER BY message.sent DESC, message.serial DESC
LIMIT %(limit)s;

-- name: serial
SELECT coalesce(max(serial), 0) FROM message;

-- name: messages
-- In the order in which they became visible.
SELECT serial, id, warning FROM message
WHERE serial > %(after)s AND serial <= %(until)s ORDER BY serial LIMIT %(limit)s;

-- name: phone
-- What the exercise phone shows; the newest ones, or those of one person or region.
SELECT delivery.id, delivery.subscriber AS recipient, subscriber.name, subscriber.language, delivery.address,
    delivery.body, delivery.segments, delivery.state, delivery.changed, message.sent,
    message.level, message.act, message.warning, warning.hazard, warning.region
FROM delivery
JOIN message ON message.id = delivery.message
JOIN warning ON warning.id = message.warning
JOIN subscriber ON subscriber.id = delivery.subscriber
WHERE delivery.exercise AND delivery.channel = 'exercise'
    AND (%(subscriber)s::bigint IS NULL OR delivery.subscriber = %(subscriber)s::bigint)
    AND (%(region)s::text IS NULL OR warning.region = %(region)s::text)
ORDER BY message.sent DESC, message.serial DESC, delivery.subscriber DESC
LIMIT %(limit)s;
