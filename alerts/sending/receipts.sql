-- name: settle
-- Receipts come late, twice and out of order: what is final stays. What is settled needs no more
-- questions; what is on its way is asked about later.
UPDATE delivery SET
    state = %(state)s, provider = coalesce(%(provider)s, provider),
    problem = coalesce(%(problem)s, problem), changed = %(changed)s,
    ask = CASE WHEN %(state)s::text = 'accepted' THEN coalesce(%(ask)s::timestamptz, ask) END
WHERE id = %(id)s
    AND NOT exercise
    AND (
        state IN ('queued', 'sending', 'uncertain')
        OR (state = 'accepted' AND %(state)s::text IN ('delivered', 'failed'))
        OR (state = 'failed' AND %(state)s::text = 'delivered')
    )
RETURNING id;

-- name: questions
-- Whoever takes a question has it alone until the lease is over.
WITH due AS (
    SELECT id FROM delivery
    WHERE ask <= %(now)s AND channel = %(channel)s AND state IN ('accepted', 'uncertain')
    ORDER BY ask
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE delivery SET ask = %(lease)s, asks = asks + 1
    FROM due WHERE delivery.id = due.id
    RETURNING delivery.*
)
SELECT taken.id, taken.state, taken.problem, taken.asks, taken.attempts, taken.way, contact.address, script.subject,
    script.body, taken.expires, taken.message, taken.provider, taken.handed
FROM taken
JOIN contact ON contact.id = taken.contact
JOIN script ON script.message = taken.message AND script.channel = taken.way
    AND script.language = taken.language;

-- name: later
-- Nothing new: asked again at a later time, or never.
UPDATE delivery SET ask = %(ask)s, problem = %(problem)s
WHERE id = %(id)s AND state IN ('accepted', 'uncertain');

-- name: again
-- The provider does not have it: it is sent as if for the first time.
UPDATE delivery SET
    state = 'queued', ask = NULL, due = %(now)s, problem = %(problem)s, changed = %(now)s
WHERE id = %(id)s AND state = 'uncertain';

-- name: follow
-- Where a way has failed and no other stands, the recipient's next one is taken, once.
WITH lost AS (
    SELECT delivery.* FROM delivery
    WHERE delivery.state = 'failed' AND NOT delivery.followed AND delivery.channel = %(channel)s
    ORDER BY delivery.changed
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), noted AS (
    UPDATE delivery SET followed = true FROM lost WHERE delivery.id = lost.id
), chosen AS (
    SELECT DISTINCT ON (lost.id)
        lost.message, lost.subscriber, contact.id AS contact, contact.channel, lost.language,
        lost.tier, lost.priority, lost.expires
    FROM lost
    JOIN contact ON contact.subscriber = lost.subscriber
    JOIN subscriber ON subscriber.id = lost.subscriber
    JOIN script ON script.message = lost.message AND script.channel = contact.channel
        AND script.language = lost.language
    WHERE NOT lost.exercise AND lost.expires > %(now)s
        AND contact.channel = ANY(%(fallback)s::text[])
        AND contact.address IS NOT NULL AND contact.confirmed IS NOT NULL
        AND subscriber.left_at IS NULL AND subscriber.erased IS NULL
        AND NOT EXISTS (
            SELECT 1 FROM delivery AS other
            WHERE other.message = lost.message AND other.subscriber = lost.subscriber
                AND (other.channel = contact.channel OR other.state IN
                    ('queued', 'sending', 'accepted', 'delivered', 'uncertain'))
        )
    ORDER BY lost.id, array_position(%(fallback)s::text[], contact.channel), contact.id
)
INSERT INTO delivery (
    message, subscriber, contact, channel, way, language, tier, exercise, priority, due, expires, changed
)
SELECT message, subscriber, contact, channel, channel, language, tier, false, priority, %(now)s,
    expires, %(now)s
FROM chosen
ON CONFLICT DO NOTHING
RETURNING pg_notify('fenghuo_delivery', '');
