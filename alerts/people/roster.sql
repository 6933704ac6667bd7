-- name: page
SELECT subscriber.id, tier, name, post, language, lowest, hazards, regions, groups, turn,
    quiet_from, quiet_until, reached.channels, reached.addresses
FROM subscriber
CROSS JOIN LATERAL (
    SELECT array_agg(channel ORDER BY id) AS channels, array_agg(address ORDER BY id) AS addresses
    FROM contact WHERE contact.subscriber = subscriber.id AND address IS NOT NULL
) AS reached
WHERE subscriber.id > %(after)s AND left_at IS NULL AND erased IS NULL
    AND tier = ANY(%(tiers)s::text[]) AND reached.channels IS NOT NULL
ORDER BY subscriber.id
LIMIT %(limit)s;
