-- name: alone
-- Two who save people wait for each other, so that one address never makes two people.
SELECT pg_advisory_xact_lock(hashtext('subscriber'));

-- name: known
SELECT contact.channel, contact.digest, contact.subscriber, subscriber.name
FROM contact
JOIN subscriber ON subscriber.id = contact.subscriber
JOIN unnest(%(channels)s::text[], %(digests)s::bytea[]) AS wanted (channel, digest)
    ON contact.channel = wanted.channel AND contact.digest = wanted.digest;

-- name: numbers
SELECT nextval(pg_get_serial_sequence('subscriber', 'id')) FROM generate_series(1, %(count)s);

-- name: add
INSERT INTO subscriber (
    id, tier, name, post, language, lowest, hazards, regions, groups, turn,
    quiet_from, quiet_until, digest, source, added
) OVERRIDING SYSTEM VALUE VALUES (
    %(id)s, %(tier)s, %(name)s, %(post)s, %(language)s, %(lowest)s, %(hazards)s, %(regions)s, %(groups)s,
    %(turn)s, %(quiet_from)s, %(quiet_until)s, %(digest)s, %(source)s, %(at)s
);

-- name: replace
UPDATE subscriber SET
    tier = %(tier)s, name = %(name)s, post = %(post)s, language = %(language)s, lowest = %(lowest)s,
    hazards = %(hazards)s, regions = %(regions)s, groups = %(groups)s, turn = %(turn)s,
    quiet_from = %(quiet_from)s, quiet_until = %(quiet_until)s, digest = %(digest)s, source = %(source)s,
    left_at = CASE WHEN %(rejoin)s THEN NULL ELSE left_at END
WHERE id = %(id)s;

-- name: retire
-- Addresses in whose place there are others now; the ledger still refers to their rows.
UPDATE contact SET address = NULL, digest = NULL, hint = ''
WHERE subscriber = %(id)s AND channel = ANY(%(channels)s::text[]) AND digest IS NOT NULL
    AND NOT digest = ANY(%(digests)s::bytea[]);

-- name: reach
INSERT INTO contact (subscriber, channel, address, digest, hint, confirmed, added)
VALUES (%(id)s, %(channel)s, %(address)s, %(digest)s, %(hint)s, %(confirmed)s, %(at)s)
ON CONFLICT (channel, digest) DO UPDATE SET confirmed = coalesce(contact.confirmed, excluded.confirmed)
    WHERE contact.subscriber = excluded.subscriber;

-- name: find
SELECT id, subscriber FROM contact WHERE channel = %(channel)s AND digest = %(digest)s;

-- name: people
SELECT subscriber.id, tier, name, post, language, lowest, hazards, regions, groups, turn,
    quiet_from, quiet_until, subscriber.digest, source, subscriber.added, left_at, erased,
    coalesce((
        SELECT json_agg(json_build_object(
            'channel', channel, 'hint', hint, 'confirmed', confirmed IS NOT NULL
        ) ORDER BY contact.id)
        FROM contact WHERE contact.subscriber = subscriber.id AND address IS NOT NULL
    ), '[]') AS contacts
FROM subscriber
WHERE subscriber.id > %(after)s
    AND (%(ids)s::bigint[] IS NULL OR subscriber.id = ANY(%(ids)s::bigint[]))
    AND (%(tier)s::text IS NULL OR tier = %(tier)s::text)
    AND (%(group)s::text IS NULL OR groups @> ARRAY[%(group)s::text])
    AND (%(region)s::text IS NULL OR regions @> ARRAY[%(region)s::text])
    AND (%(ids)s::bigint[] IS NOT NULL OR erased IS NULL)
ORDER BY subscriber.id
LIMIT %(limit)s;

-- name: groups
SELECT own.name, count(*) FROM subscriber CROSS JOIN unnest(groups) AS own (name)
WHERE left_at IS NULL AND erased IS NULL
GROUP BY own.name ORDER BY own.name;

-- name: change
UPDATE subscriber SET
    language = %(language)s, lowest = %(lowest)s, hazards = %(hazards)s, regions = %(regions)s,
    quiet_from = %(quiet_from)s, quiet_until = %(quiet_until)s, digest = %(digest)s
WHERE id = %(id)s AND erased IS NULL;

-- name: leave
UPDATE subscriber SET left_at = %(at)s WHERE id = %(id)s AND left_at IS NULL AND erased IS NULL;

-- name: count
SELECT tier, count(*) FROM subscriber
WHERE left_at IS NULL AND erased IS NULL
    AND regions @> ARRAY[%(region)s::text]
    AND (hazards = '{}' OR %(hazard)s::text = ANY(hazards))
    AND array_position(ARRAY['blue', 'yellow', 'orange', 'red'], lowest)
        <= array_position(ARRAY['blue', 'yellow', 'orange', 'red'], %(level)s::text)
GROUP BY tier;
