-- name: warnings
-- Warnings that were ever published, with the chain of their messages; the newest first. The notices
-- that go before a warning are not public.
SELECT warning.id, warning.hazard, warning.region, region.zh, region.en, region.sample,
    warning.state, warning.level, warning.door, warning.exercise, warning.opened, warning.since,
    warning.held, warning.expires, warning.ended, warning.version, warning.led, chain.messages,
    coalesce(warning.grounds -> warning.level -> 'evidence', '[]') AS evidence
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
    FROM message WHERE message.warning = warning.id AND message.act NOT IN ('notice', 'withdraw')
) chain ON chain.messages IS NOT NULL
WHERE (%(ids)s::uuid[] IS NULL OR warning.id = ANY(%(ids)s::uuid[]))
    AND (%(exercises)s OR NOT warning.exercise)
    AND (%(running)s::boolean IS NULL OR (warning.ended IS NULL) = %(running)s::boolean)
    AND (%(hazard)s::text IS NULL OR warning.hazard = %(hazard)s::text)
    AND (%(region)s::text IS NULL OR warning.region = %(region)s::text)
    AND (%(level)s::text IS NULL OR warning.level = %(level)s::text)
    AND (%(ended_after)s::timestamptz IS NULL
        OR warning.ended IS NULL OR warning.ended > %(ended_after)s::timestamptz)
ORDER BY warning.ended IS NULL DESC, coalesce(warning.ended, warning.since) DESC, warning.id
LIMIT %(limit)s;

-- name: cap
SELECT cap FROM message WHERE id = %(id)s AND act NOT IN ('notice', 'withdraw');

-- name: lately
-- Documents of events that are in force or ended not long ago; the newest first.
SELECT message.id::text, message.sent, message.expires, message.cap
FROM message JOIN warning ON warning.id = message.warning
WHERE message.exercise = %(exercise)s AND message.act NOT IN ('notice', 'withdraw')
    AND coalesce(warning.ended, warning.expires) > %(since)s::timestamptz
ORDER BY message.sent DESC, message.serial DESC
LIMIT %(limit)s;

-- name: serial
SELECT coalesce(max(serial), 0) FROM message
WHERE act NOT IN ('notice', 'withdraw') AND (%(exercises)s OR NOT exercise);

-- name: messages
-- In the order in which they became visible.
SELECT serial, id, warning FROM message
WHERE serial > %(after)s AND serial <= %(until)s
    AND act NOT IN ('notice', 'withdraw') AND (%(exercises)s OR NOT exercise)
ORDER BY serial LIMIT %(limit)s;

-- name: phone
-- What the exercise phone shows; the newest ones, or those of one person or region.
SELECT delivery.id, delivery.subscriber AS recipient, subscriber.name, delivery.language, delivery.way,
    contact.hint AS address, script.body, script.segments, delivery.state, delivery.changed, message.sent,
    message.level, message.act, message.warning, warning.hazard, warning.region
FROM delivery
JOIN message ON message.id = delivery.message
JOIN warning ON warning.id = message.warning
JOIN subscriber ON subscriber.id = delivery.subscriber
JOIN contact ON contact.id = delivery.contact
JOIN script ON script.message = delivery.message AND script.channel = delivery.way
    AND script.language = delivery.language
WHERE delivery.exercise AND delivery.channel = 'exercise'
    AND (%(subscriber)s::bigint IS NULL OR delivery.subscriber = %(subscriber)s::bigint)
    AND (%(region)s::text IS NULL OR warning.region = %(region)s::text)
ORDER BY message.sent DESC, message.serial DESC, delivery.subscriber DESC, delivery.way
LIMIT %(limit)s;
