-- name: distribution
-- How many messages each person was sent: distinct ones, by whatever way.
WITH told AS (
    SELECT delivery.subscriber, count(DISTINCT delivery.message) AS messages
    FROM message JOIN delivery ON delivery.message = message.id
    WHERE message.sent > %(since)s AND message.sent <= %(until)s
        AND delivery.state IN ('sending', 'accepted', 'delivered', 'uncertain')
    GROUP BY delivery.subscriber
), each AS (
    SELECT subscriber.tier, coalesce(told.messages, 0) AS messages
    FROM subscriber LEFT JOIN told ON told.subscriber = subscriber.id
    WHERE subscriber.left_at IS NULL AND subscriber.erased IS NULL
)
SELECT tier, count(*) AS people, sum(messages)::bigint AS messages, max(messages) AS most,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY messages) AS half,
    percentile_disc(0.9) WITHIN GROUP (ORDER BY messages) AS tenth,
    count(*) FILTER (WHERE messages = 0) AS none
FROM each GROUP BY tier ORDER BY tier;

-- name: buckets
-- People by how much they were sent; bucket 1 begins at the first bound.
WITH told AS (
    SELECT delivery.subscriber, count(DISTINCT delivery.message) AS messages
    FROM message JOIN delivery ON delivery.message = message.id
    WHERE message.sent > %(since)s AND message.sent <= %(until)s
        AND delivery.state IN ('sending', 'accepted', 'delivered', 'uncertain')
    GROUP BY delivery.subscriber
)
SELECT subscriber.tier, width_bucket(told.messages, %(bounds)s::bigint[]) AS bucket, count(*) AS people
FROM told JOIN subscriber ON subscriber.id = told.subscriber
WHERE subscriber.left_at IS NULL AND subscriber.erased IS NULL
GROUP BY 1, 2 ORDER BY 1, 2;

-- name: kept
-- What was kept back, by tier and reason; what was said in another message counts as merged.
SELECT delivery.tier, delivery.state,
    CASE WHEN delivery.reason LIKE 'message:%%' THEN '' ELSE coalesce(delivery.reason, '') END AS reason,
    count(*) AS number
FROM message JOIN delivery ON delivery.message = message.id
WHERE message.sent > %(since)s AND message.sent <= %(until)s
    AND delivery.state IN ('superseded', 'merged', 'muted')
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;

-- name: most
-- Those who were sent the most; of an address only the hint.
SELECT delivery.subscriber AS id, delivery.tier, min(contact.hint) AS hint,
    count(DISTINCT delivery.message) AS messages, max(message.sent) AS last
FROM message
JOIN delivery ON delivery.message = message.id
JOIN contact ON contact.id = delivery.contact
WHERE message.sent > %(since)s AND message.sent <= %(until)s
    AND delivery.state IN ('sending', 'accepted', 'delivered', 'uncertain')
GROUP BY delivery.subscriber, delivery.tier
ORDER BY messages DESC, delivery.subscriber LIMIT %(limit)s;

-- name: person
SELECT warning.hazard, message.level, delivery.state,
    CASE WHEN delivery.reason LIKE 'message:%%' THEN '' ELSE coalesce(delivery.reason, '') END AS reason,
    count(DISTINCT delivery.message) AS messages, max(message.sent) AS last
FROM delivery
JOIN message ON message.id = delivery.message
JOIN warning ON warning.id = message.warning
WHERE delivery.subscriber = %(subscriber)s
    AND message.sent > %(since)s AND message.sent <= %(until)s
GROUP BY 1, 2, 3, 4 ORDER BY last DESC, 1, 2, 3, 4 LIMIT %(limit)s;

-- name: known
SELECT EXISTS (SELECT FROM subscriber WHERE id = %(subscriber)s);
