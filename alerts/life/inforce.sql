-- name: spells
-- What was in force when, message by message; until: the next message, or the end of the warning.
SELECT warning.id AS warning, warning.hazard, warning.region, warning.exercise,
    message.level, message.door, message.sent,
    coalesce(
        lead(message.sent) OVER (PARTITION BY message.warning ORDER BY message.number),
        warning.ended
    ) AS until,
    message.act IN ('cancel', 'expire') AS over
FROM message
JOIN warning ON warning.id = message.warning
WHERE message.act NOT IN ('notice', 'withdraw')
    AND warning.opened <= %(end)s AND (warning.ended IS NULL OR warning.ended > %(start)s)
ORDER BY message.sent, message.warning, message.number
LIMIT %(limit)s;
