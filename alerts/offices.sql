-- name: add_source
INSERT INTO office_source (url, name, trust, every, added, due)
VALUES (%(url)s, %(name)s, %(trust)s, %(every)s, %(now)s, %(now)s)
ON CONFLICT (url) DO NOTHING
RETURNING id

-- name: sources
SELECT id, url, name, trust, every, added, looked, succeeded, problem, etag, modified
FROM office_source
ORDER BY id
LIMIT 1000

-- name: remove_source
DELETE FROM office_source
WHERE url = %(source)s OR id::text = %(source)s
RETURNING url

-- name: claim
-- One that is due, for whoever asks first; it is due again even if nobody comes back.
UPDATE office_source SET due = %(now)s + make_interval(secs => every), looked = %(now)s
WHERE id = (
    SELECT id FROM office_source WHERE due <= %(now)s ORDER BY due FOR UPDATE SKIP LOCKED LIMIT 1
)
RETURNING id, url, name, trust, every, added, looked, succeeded, problem, etag, modified

-- name: looked
UPDATE office_source
SET problem = %(problem)s, etag = %(etag)s, modified = %(modified)s,
    succeeded = CASE WHEN %(problem)s::jsonb IS NULL THEN %(now)s ELSE succeeded END
WHERE id = %(id)s

-- name: documents
SELECT url, stamp FROM office_document WHERE source = %(source)s

-- name: put_document
INSERT INTO office_document (source, url, stamp, seen)
VALUES (%(source)s, %(url)s, %(stamp)s, %(now)s)
ON CONFLICT (source, url) DO UPDATE SET stamp = excluded.stamp, seen = excluded.seen

-- name: prune_documents
DELETE FROM office_document
WHERE source = %(source)s AND NOT url = ANY (%(urls)s::text[]) AND seen < %(before)s

-- name: alone
-- Alerts of a source are put in one after the other, so that each sees those it refers to.
SELECT id FROM office_source WHERE id = %(source)s FOR UPDATE

-- name: add
INSERT INTO office_alert (
    source, identifier, sender, sent, status, kind, scope, until, received, accepted,
    problems, signed, content, area, geocodes, xml
)
VALUES (
    %(source)s, %(identifier)s, %(sender)s, %(sent)s, %(status)s, %(kind)s, %(scope)s,
    %(until)s, %(received)s, %(accepted)s,
    %(problems)s, %(signed)s, %(content)s, %(area)s, %(geocodes)s, %(xml)s
)
ON CONFLICT (source, identifier, sender, sent) DO NOTHING
RETURNING id

-- name: refer
INSERT INTO office_reference (alert, sender, identifier)
SELECT %(alert)s, * FROM unnest(%(senders)s::text[], %(identifiers)s::text[])
ON CONFLICT DO NOTHING

-- name: replace
-- What it refers to, of the same source, of the same kind of status, and not later than itself.
UPDATE office_alert old SET replaced = new.id
FROM office_alert new
JOIN office_reference reference ON reference.alert = new.id
WHERE new.id = %(id)s
    AND old.source = new.source
    AND old.sender = reference.sender
    AND old.identifier = reference.identifier
    AND old.id <> new.id
    AND old.status = new.status
    AND old.sent <= new.sent
    AND old.replaced IS NULL

-- name: replaced_already
-- An update or cancel of it came before it did.
UPDATE office_alert old SET replaced = new.id
FROM office_alert new
JOIN office_reference reference ON reference.alert = new.id
WHERE old.id = %(id)s
    AND old.source = new.source
    AND old.sender = reference.sender
    AND old.identifier = reference.identifier
    AND old.id <> new.id
    AND old.status = new.status
    AND old.sent <= new.sent
    AND new.accepted
    AND new.kind <> 'Alert'

-- name: standing
SELECT alert.id, source.id AS source, source.name AS source_name, identifier, sender, sent,
    status, kind, scope, until, received, accepted, problems, signed, content, area, geocodes
FROM office_alert alert
JOIN office_source source ON source.id = alert.source
WHERE alert.replaced IS NULL AND kind <> 'Cancel' AND until > %(now)s
ORDER BY sent DESC, alert.id DESC
LIMIT %(limit)s

-- name: document
SELECT xml FROM office_alert
WHERE id = %(id)s AND (%(every)s OR (status = 'Actual' AND scope = 'Public' AND accepted))

-- name: prune
DELETE FROM office_alert WHERE until < %(before)s
