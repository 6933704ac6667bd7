-- name: messages
-- How far each message of an event is: by way, state and tier; a way of an exercise is what it stands for.
SELECT message.id, message.number, message.act, message.sent, counted.way, counted.tier, counted.state,
    counted.people, counted.acknowledged, counted.lately
FROM message
LEFT JOIN LATERAL (
    SELECT way, tier, state, count(*) AS people, count(acknowledged) AS acknowledged,
        count(*) FILTER (
            WHERE handed > %(since)s AND state IN ('accepted', 'delivered', 'failed', 'uncertain')
        ) AS lately
    FROM delivery WHERE delivery.message = message.id
    GROUP BY way, tier, state
) AS counted ON true
WHERE message.warning = %(warning)s
ORDER BY message.number, counted.way, counted.tier, counted.state;

-- name: acknowledged
SELECT delivery.message, delivery.acknowledged_by AS name, contact.hint, delivery.tier,
    delivery.acknowledged AS at, delivery.acknowledgement AS note
FROM delivery
JOIN message ON message.id = delivery.message
JOIN contact ON contact.id = delivery.contact
WHERE message.warning = %(warning)s AND delivery.acknowledged IS NOT NULL
ORDER BY delivery.acknowledged, delivery.id
LIMIT %(limit)s;

-- name: routes
-- What each channel has before it, and when it last handed something over.
SELECT channel, count(*) FILTER (WHERE state = 'queued') AS queued,
    count(*) FILTER (WHERE state = 'sending') AS sending,
    count(*) FILTER (WHERE state = 'uncertain') AS uncertain,
    max(handed) FILTER (WHERE state IN ('accepted', 'delivered')) AS handed
FROM delivery
WHERE changed > %(since)s OR state IN ('queued', 'sending')
GROUP BY channel;
