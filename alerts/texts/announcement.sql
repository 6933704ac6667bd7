-- name: region
SELECT id, zh, en, boundary, population, sample FROM region WHERE id = ANY(%(ids)s::text[]);

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

-- name: scripts
INSERT INTO script (message, channel, language, subject, body, segments)
SELECT * FROM unnest(
    %(messages)s::uuid[], %(channels)s::text[], %(languages)s::text[], %(subjects)s::text[],
    %(bodies)s::text[], %(segments)s::integer[]
);

-- name: supersede
-- What still waits of an event is made needless by newer news of it. An exercise goes to its phone
-- at once: there, what would have waited until now counts as waiting.
UPDATE delivery SET state = 'superseded', changed = %(sent)s
FROM message
WHERE delivery.message = message.id AND message.warning = ANY(%(warnings)s::uuid[])
    AND NOT message.id = ANY(%(messages)s::uuid[])
    -- A digest that tells of other events too is kept.
    AND NOT (delivery.reason IS NOT DISTINCT FROM 'digest' AND delivery.language LIKE '%%-x-%%')
    AND CASE
        WHEN delivery.exercise
        THEN delivery.due > %(sent)s AND delivery.state IN ('queued', 'sending', 'delivered')
        ELSE delivery.state = 'queued'
    END;

-- name: in_force
-- Events that may make lower news needless.
SELECT id, hazard, level, region FROM warning
WHERE ended IS NULL AND state = 'issued' AND exercise = %(exercise)s AND hazard = ANY(%(hazards)s::text[])
ORDER BY id;

-- name: manners
-- All the ways in which somebody wants to be told; one key for each.
SELECT DISTINCT
    concat_ws('|', tier, digest, coalesce(quiet_from::text, '-'), coalesce(quiet_until::text, '-')) AS key,
    tier, digest, quiet_from, quiet_until
FROM subscriber WHERE left_at IS NULL AND erased IS NULL;

-- name: bundles
-- What one message can say to somebody at once: several regions, and what waits for the digest.
WITH news AS (
    SELECT * FROM unnest(%(regions)s::text[]) WITH ORDINALITY AS news (region, place)
), waiting AS (
    SELECT delivery.subscriber AS id, array_agg(DISTINCT message.serial) AS serials
    FROM delivery
    JOIN subscriber ON subscriber.id = delivery.subscriber
    JOIN message ON message.id = delivery.message
    WHERE %(gathers)s AND subscriber.digest AND delivery.due > %(sent)s
        AND delivery.exercise = %(exercise)s AND message.level = ANY(%(gathered)s::text[])
        AND (
            -- What was merged into what waits is still to be told.
            delivery.state = 'merged' OR (
                delivery.reason = 'digest' AND (
                    delivery.state = 'queued'
                    OR (delivery.exercise AND delivery.state IN ('sending', 'delivered'))
                )
            )
        )
    GROUP BY delivery.subscriber
), asked AS (
    SELECT subscriber.id, array_agg(news.place ORDER BY news.place) AS told
    FROM news JOIN subscriber ON subscriber.regions @> ARRAY[news.region]
    WHERE (subscriber.hazards = '{}' OR %(hazard)s::text = ANY(subscriber.hazards))
        AND array_position(%(levels)s::text[], subscriber.lowest)
            <= array_position(%(levels)s::text[], %(level)s::text)
        AND subscriber.tier = ANY(%(tiers)s::text[]) AND subscriber.tier <> 'outlet'
        AND subscriber.left_at IS NULL AND subscriber.erased IS NULL
    GROUP BY subscriber.id
)
SELECT asked.told, coalesce(waiting.serials, '{}') AS waiting, count(*) AS people
FROM asked LEFT JOIN waiting USING (id)
WHERE cardinality(asked.told) > 1 OR waiting.serials IS NOT NULL
GROUP BY asked.told, waiting.serials
ORDER BY people DESC, asked.told, waiting.serials
LIMIT %(limit)s;

-- name: told
-- Messages that wait for the digest, with the warning as it was then.
SELECT message.serial, message.act, message.level, message.sent, warning.region, to_jsonb(warning.*) AS warning
FROM message JOIN warning ON warning.id = message.warning
WHERE message.serial = ANY(%(serials)s::bigint[])
ORDER BY message.serial;

-- name: by_hash
-- The planner takes what a CTE gives for a handful of rows: it would look through a hundred thousand
-- recipients for each of a hundred thousand.
SET LOCAL enable_nestloop = off;

-- name: by_any
SET LOCAL enable_nestloop = on;

-- name: address
-- One row for each recipient, message and way: those who asked for it, and whoever heard of the event
-- before; of the end only the latter. A way that
-- is kept for when others fail is used at once where the recipient has no other.
WITH news AS (
    SELECT * FROM unnest(%(messages)s::uuid[], %(warnings)s::uuid[], %(regions)s::text[])
        WITH ORDINALITY AS news (message, warning, region, place)
), heard AS (
    SELECT DISTINCT news.place, delivery.subscriber AS id
    FROM news
    JOIN message ON message.warning = news.warning
    JOIN delivery ON delivery.message = message.id
    WHERE delivery.state NOT IN ('failed', 'expired', 'superseded', 'muted')
), asked AS (
    SELECT news.place, subscriber.id
    FROM news JOIN subscriber ON subscriber.regions @> ARRAY[news.region]
    WHERE NOT %(ends)s
        AND (subscriber.hazards = '{}' OR %(hazard)s::text = ANY(subscriber.hazards))
        AND array_position(%(levels)s::text[], subscriber.lowest)
            <= array_position(%(levels)s::text[], %(level)s::text)
        AND (
            subscriber.tier = ANY(%(tiers)s::text[])
            OR (subscriber.tier <> 'outlet' AND subscriber.groups && %(groups)s::text[])
        )
), audience AS (
    SELECT place, id, bool_or(before) AS before
    FROM (
        SELECT place, id, true AS before FROM heard
        UNION ALL SELECT place, id, false FROM asked
    ) AS each
    GROUP BY place, id
), later AS (
    -- Officers of a group are told in turn; those without one are told with the first.
    SELECT place, id, min(wait) AS wait
    FROM (
        SELECT audience.place, audience.id,
            dense_rank() OVER (
                PARTITION BY audience.place, team.name, subscriber.turn = 0 ORDER BY subscriber.turn
            ) - 1 AS wait
        FROM audience
        JOIN subscriber ON subscriber.id = audience.id
        CROSS JOIN unnest(subscriber.groups) AS team (name)
        WHERE subscriber.tier = 'officer'
    ) AS each
    GROUP BY place, id
), listening AS (
    -- What brings nothing worse escalates to nobody new.
    SELECT audience.place, audience.id, CASE WHEN audience.before THEN 0 ELSE coalesce(wait, 0) END AS wait
    FROM audience LEFT JOIN later USING (place, id)
    WHERE audience.before OR NOT %(calm)s OR coalesce(wait, 0) = 0
), hushed AS (
    -- Whoever heard of what makes this needless; screens and platforms are told everything.
    SELECT DISTINCT pair.place, delivery.subscriber AS id
    FROM unnest(%(hushed_places)s::integer[], %(hushing)s::uuid[]) AS pair (place, warning)
    JOIN message ON message.warning = pair.warning
    JOIN delivery ON delivery.message = message.id
    WHERE delivery.state NOT IN ('failed', 'expired', 'superseded', 'muted')
        AND delivery.tier <> 'outlet'
), bundle AS (
    SELECT listening.id, array_agg(listening.place ORDER BY listening.place) AS told
    FROM listening
    WHERE %(bundling)s AND NOT EXISTS (SELECT FROM hushed WHERE hushed.id = listening.id)
        AND NOT EXISTS (SELECT FROM subscriber WHERE id = listening.id AND tier = 'outlet')
    GROUP BY listening.id
), waiting AS (
    SELECT delivery.subscriber AS id, array_agg(DISTINCT message.serial) AS serials
    FROM delivery
    JOIN subscriber ON subscriber.id = delivery.subscriber
    JOIN message ON message.id = delivery.message
    WHERE %(gathers)s AND subscriber.digest AND delivery.due > %(sent)s
        AND delivery.exercise = %(exercise)s AND message.level = ANY(%(gathered)s::text[])
        AND (
            -- What was merged into what waits is still to be told.
            delivery.state = 'merged' OR (
                delivery.reason = 'digest' AND (
                    delivery.state = 'queued'
                    OR (delivery.exercise AND delivery.state IN ('sending', 'delivered'))
                )
            )
        )
    GROUP BY delivery.subscriber
), variant AS (
    SELECT bundle.id, bundle.told, variant.suffix
    FROM bundle
    LEFT JOIN waiting ON waiting.id = bundle.id
    JOIN unnest(%(bundles)s::text[], %(suffixes)s::text[]) AS variant (key, suffix)
        ON variant.key = array_to_string(bundle.told, ',') || '|'
            || coalesce(array_to_string(waiting.serials, ','), '')
), known AS (
    -- The oldest address of a recipient on a channel counts.
    SELECT DISTINCT ON (contact.subscriber, contact.channel)
        contact.id, contact.subscriber, contact.channel,
        contact.channel = ANY(%(fallback)s::text[]) AS spare
    FROM (SELECT DISTINCT id FROM listening) AS each
    JOIN contact ON contact.subscriber = each.id
    WHERE contact.channel = ANY(%(ways)s::text[]) AND contact.address IS NOT NULL
        AND contact.confirmed IS NOT NULL
    ORDER BY contact.subscriber, contact.channel, contact.id
), used AS (
    SELECT known.*, bool_and(spare) OVER (PARTITION BY subscriber) AS only_spare FROM known
)
INSERT INTO delivery (
    message, subscriber, contact, channel, way, language, tier, exercise, priority, due, expires,
    state, reason, changed
)
SELECT
    news.message, subscriber.id, used.id,
    -- First barrier: an exercise is written for the exercise phone and nothing else.
    CASE WHEN %(exercise)s THEN 'exercise' ELSE used.channel END, used.channel,
    CASE
        WHEN subscriber.language = ANY(%(languages)s::text[]) THEN subscriber.language
        ELSE (%(languages)s::text[])[1]
    END || CASE WHEN news.place = variant.told[1] THEN variant.suffix ELSE '' END,
    subscriber.tier, %(exercise)s,
    %(urgency)s + array_position(%(order)s::text[], subscriber.tier) - 1,
    fate.due + listening.wait * %(after)s::interval, fate.expires,
    CASE
        WHEN hushed.id IS NOT NULL OR fate.muted THEN 'muted'
        WHEN news.place <> variant.told[1] THEN 'merged'
        ELSE 'queued'
    END,
    CASE
        WHEN hushed.id IS NOT NULL THEN 'inhibited'
        WHEN NOT fate.muted AND news.place <> variant.told[1]
            THEN 'message:' || (%(messages)s::uuid[])[variant.told[1]]
        ELSE coalesce(nullif(fate.reason, ''), CASE WHEN listening.wait > 0 THEN 'turn' END)
    END,
    %(sent)s
FROM listening
JOIN news ON news.place = listening.place
JOIN subscriber ON subscriber.id = listening.id
JOIN used ON used.subscriber = subscriber.id
JOIN unnest(
    %(keys)s::text[], %(dues)s::timestamptz[], %(expiries)s::timestamptz[], %(mutes)s::boolean[],
    %(reasons)s::text[]
) AS fate (key, due, expires, muted, reason) ON fate.key = concat_ws(
    '|', subscriber.tier, subscriber.digest,
    coalesce(subscriber.quiet_from::text, '-'), coalesce(subscriber.quiet_until::text, '-')
)
LEFT JOIN hushed ON hushed.place = listening.place AND hushed.id = listening.id
LEFT JOIN variant ON variant.id = listening.id AND listening.place = ANY(variant.told)
WHERE subscriber.left_at IS NULL AND subscriber.erased IS NULL
    AND (NOT used.spare OR used.only_spare)
ORDER BY subscriber.id, used.channel, news.place;

-- name: gather
-- What waited for the digest is said in the newest of it.
UPDATE delivery AS old SET state = 'merged', reason = 'message:' || new.message, changed = %(sent)s
FROM delivery AS new
WHERE new.message = ANY(%(messages)s::uuid[]) AND new.reason = 'digest' AND new.state = 'queued'
    AND new.language LIKE '%%-x-%%'
    AND old.subscriber = new.subscriber AND old.way = new.way AND old.exercise = new.exercise
    AND NOT old.message = ANY(%(messages)s::uuid[])
    AND old.reason = 'digest' AND old.due > %(sent)s
    AND (old.state = 'queued' OR (old.exercise AND old.state IN ('sending', 'delivered')));

-- name: wake
SELECT pg_notify('fenghuo_delivery', ''), pg_notify('fenghuo_warning', warning)
FROM unnest(%(warnings)s::text[]) AS warning;

-- name: recipients
-- Who would be told, by tier and channel.
WITH heard AS (
    SELECT DISTINCT delivery.subscriber AS id
    FROM delivery JOIN message ON message.id = delivery.message
    WHERE message.warning = %(warning)s
        AND delivery.state NOT IN ('failed', 'expired', 'superseded', 'muted')
), asked AS (
    SELECT subscriber.id FROM subscriber
    WHERE NOT %(ends)s AND subscriber.regions @> ARRAY[%(region)s::text]
        AND (subscriber.hazards = '{}' OR %(hazard)s::text = ANY(subscriber.hazards))
        AND array_position(%(levels)s::text[], subscriber.lowest)
            <= array_position(%(levels)s::text[], %(level)s::text)
        AND (
            subscriber.tier = ANY(%(tiers)s::text[])
            OR (subscriber.tier <> 'outlet' AND subscriber.groups && %(groups)s::text[])
        )
), used AS (
    SELECT DISTINCT subscriber.tier, contact.subscriber, contact.channel,
        contact.channel = ANY(%(fallback)s::text[]) AS spare
    FROM (SELECT id FROM heard UNION SELECT id FROM asked) AS each
    JOIN subscriber ON subscriber.id = each.id
    JOIN contact ON contact.subscriber = each.id
    WHERE contact.channel = ANY(%(ways)s::text[]) AND contact.address IS NOT NULL
        AND contact.confirmed IS NOT NULL
        AND subscriber.left_at IS NULL AND subscriber.erased IS NULL
), counted AS (
    SELECT used.*, bool_and(spare) OVER (PARTITION BY subscriber) AS only_spare FROM used
)
SELECT tier, channel, count(*) FROM counted WHERE NOT spare OR only_spare
GROUP BY tier, channel ORDER BY tier, channel;
