-- name: bind
INSERT INTO meta (name, value) VALUES ('people_key', %(fingerprint)s) ON CONFLICT (name) DO NOTHING;

-- name: bound
SELECT value FROM meta WHERE name = 'people_key';

-- name: rebind
UPDATE meta SET value = %(fingerprint)s WHERE name = 'people_key';
