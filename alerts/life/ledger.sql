-- name: save
INSERT INTO warning (
    id, hazard, region, state, level, door, exercise,
    opened, since, held, decided, sent, expires, ended, number, grounds, version, led, author,
    approver, veto_until, barred, suggestion, reminded, onset, until, text, area, notices
) VALUES (
    %(id)s, %(hazard)s, %(region)s, %(state)s, %(level)s, %(door)s, %(exercise)s,
    %(opened)s, %(since)s, %(held)s, %(decided)s, %(sent)s, %(expires)s, %(ended)s, %(number)s, %(grounds)s,
    %(version)s, %(led)s, %(author)s, %(approver)s, %(veto_until)s, %(barred)s, %(suggestion)s,
    %(reminded)s, %(onset)s, %(until)s, %(text)s, %(area)s, %(notices)s
)
ON CONFLICT (id) DO UPDATE SET
    state = excluded.state, level = excluded.level, door = excluded.door, since = excluded.since,
    held = excluded.held, decided = excluded.decided, sent = excluded.sent,
    expires = excluded.expires, ended = excluded.ended, number = excluded.number,
    grounds = excluded.grounds, version = excluded.version, led = excluded.led,
    author = excluded.author, approver = excluded.approver, veto_until = excluded.veto_until,
    barred = excluded.barred, suggestion = excluded.suggestion, reminded = excluded.reminded,
    onset = excluded.onset, until = excluded.until, text = excluded.text, area = excluded.area,
    notices = excluded.notices;

-- name: running
-- Whoever decides on them has them alone until the end of the transaction.
SELECT id, hazard, region, state, level, door, exercise,
    opened, since, held, decided, sent, expires, ended, number, grounds, version, led, author,
    approver, veto_until, barred, suggestion, reminded, onset, until, text, area, notices
FROM warning WHERE ended IS NULL
ORDER BY hazard, region
FOR UPDATE;

-- name: used
-- Events of a danger at a place since the season began that never went above a level.
SELECT count(*) FROM warning
WHERE hazard = %(hazard)s AND region = %(region)s AND exercise = %(exercise)s
    AND opened >= %(since)s AND grounds ? %(level)s AND NOT grounds ?| %(above)s::text[];

-- name: summary
SELECT warning.id, warning.hazard, warning.region, warning.ended, first.level, first.door, first.sent
FROM warning
JOIN LATERAL (
    SELECT DISTINCT ON (level) level, door, sent, number
    FROM message
    WHERE message.warning = warning.id AND act IN ('issue', 'upgrade')
    ORDER BY level, number
) AS first ON true
ORDER BY warning.opened, warning.hazard, warning.region, first.number;

-- name: counts
SELECT way, count(*) FROM delivery
WHERE state NOT IN ('superseded', 'merged', 'muted')
GROUP BY way ORDER BY way;
