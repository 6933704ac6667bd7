-- name: person
SELECT id, tier, name, post, language, lowest, hazards, regions, groups, turn, quiet_from, quiet_until,
    digest, source, added, left_at, erased
FROM subscriber WHERE id = %(id)s;

-- name: contacts
SELECT channel, address, hint, confirmed, added FROM contact
WHERE subscriber = %(id)s AND address IS NOT NULL ORDER BY id;

-- name: sent
SELECT message.sent, message.act, message.level, warning.hazard, warning.region, message.exercise,
    delivery.way AS channel, delivery.state, delivery.reason, delivery.changed,
    delivery.acknowledged, delivery.acknowledged_by, delivery.acknowledgement,
    script.subject, script.body
FROM delivery
JOIN message ON message.id = delivery.message
JOIN warning ON warning.id = message.warning
LEFT JOIN script ON script.message = delivery.message AND script.channel = delivery.way
    AND script.language = delivery.language
WHERE delivery.subscriber = %(id)s
ORDER BY message.serial DESC, delivery.channel
LIMIT %(limit)s;

-- name: codes
SELECT way AS channel, made, state, used FROM passcode
WHERE digest IN (SELECT digest FROM contact WHERE subscriber = %(id)s) ORDER BY made;

-- name: forget_codes
DELETE FROM passcode WHERE digest IN (SELECT digest FROM contact WHERE subscriber = %(id)s);

-- name: stop
-- What waits for somebody who is gone is not sent.
UPDATE delivery SET state = 'superseded', reason = 'erased', changed = %(at)s
WHERE subscriber = %(id)s AND state = 'queued';

-- name: forget_answers
-- Answers may be signed, and providers repeat the number in what they complain of.
UPDATE delivery SET acknowledged_by = NULL, acknowledgement = NULL, provider = NULL, problem = NULL
WHERE subscriber = %(id)s
    AND (acknowledged_by, acknowledgement, provider, problem) IS DISTINCT FROM (NULL, NULL, NULL, NULL);

-- name: forget_contacts
UPDATE contact SET address = NULL, digest = NULL, hint = '' WHERE subscriber = %(id)s;

-- name: forget_person
UPDATE subscriber SET name = NULL, post = NULL, regions = '{}', groups = '{}', hazards = '{}', turn = 0,
    quiet_from = NULL, quiet_until = NULL, left_at = coalesce(left_at, %(at)s), erased = %(at)s
WHERE id = %(id)s AND erased IS NULL;

-- name: plain_people
SELECT id, name, post FROM subscriber
WHERE substring(name FROM 1 FOR 1) = '\x00'::bytea OR substring(post FROM 1 FOR 1) = '\x00'::bytea
ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED;

-- name: plain_contacts
SELECT id, channel, address FROM contact
WHERE substring(address FROM 1 FOR 1) = '\x00'::bytea
ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED;

-- name: seal_person
UPDATE subscriber SET name = %(name)s, post = %(post)s WHERE id = %(id)s;

-- name: seal_contact
-- Where two old rows turn out to be one address, the first is found by it.
UPDATE contact SET address = %(address)s, hint = %(hint)s, digest = CASE
    WHEN EXISTS (
        SELECT 1 FROM contact AS other
        WHERE other.channel = %(channel)s AND other.digest = %(digest)s AND other.id <> %(id)s
    ) THEN NULL
    ELSE %(digest)s::bytea
END
WHERE id = %(id)s;

-- name: every_person
SELECT id, name, post FROM subscriber WHERE id > %(after)s AND (name IS NOT NULL OR post IS NOT NULL)
ORDER BY id LIMIT %(limit)s FOR UPDATE;

-- name: every_contact
SELECT id, channel, address FROM contact WHERE id > %(after)s AND address IS NOT NULL
ORDER BY id LIMIT %(limit)s FOR UPDATE;

-- name: drop_codes
DELETE FROM passcode;
