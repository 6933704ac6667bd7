-- name: silent
-- Groups of officers that were told of a running event, to the last of them, and have not answered
-- for so long. What counts is the newest message that raised it, or a notice of it.
WITH newest AS (
    SELECT DISTINCT ON (message.warning) message.*
    FROM message JOIN warning ON warning.id = message.warning
    WHERE warning.ended IS NULL AND message.act NOT IN ('update', 'downgrade', 'withdraw', 'cancel', 'expire')
        AND message.expires > %(now)s
    ORDER BY message.warning, message.number DESC
), told AS (
    SELECT newest.id AS message, team.name, count(DISTINCT officer.id) AS people,
        count(*) FILTER (WHERE delivery.state IN ('accepted', 'delivered')) AS reached,
        max(greatest(delivery.due, newest.sent)) AS last
    FROM newest
    JOIN delivery ON delivery.message = newest.id
    JOIN subscriber AS officer ON officer.id = delivery.subscriber
    CROSS JOIN unnest(officer.groups) AS team (name)
    WHERE officer.tier = 'officer' AND delivery.state NOT IN ('superseded', 'merged', 'muted')
    GROUP BY newest.id, team.name
)
SELECT newest.warning, newest.id AS message, warning.hazard, warning.region, region.zh, region.en,
    newest.level, newest.exercise, told.name AS group, told.people, told.reached, told.last AS since
FROM told
JOIN newest ON newest.id = told.message
JOIN warning ON warning.id = newest.warning
JOIN region ON region.id = warning.region
WHERE told.last + %(after)s::interval <= %(now)s
    AND NOT EXISTS (
        SELECT FROM delivery
        JOIN message ON message.id = delivery.message
        JOIN subscriber AS officer ON officer.id = delivery.subscriber
        WHERE message.warning = newest.warning AND message.number >= newest.number
            AND delivery.acknowledged IS NOT NULL
            AND officer.tier = 'officer' AND told.name = ANY(officer.groups)
    )
ORDER BY told.last, newest.warning, told.name
LIMIT %(limit)s;
