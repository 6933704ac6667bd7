-- name: active
SELECT id, hazards, regions, levels, tiers, owner, reason, since, until FROM silence
WHERE since <= %(at)s AND until > %(at)s AND (lifted IS NULL OR lifted > %(at)s)
ORDER BY id;

-- name: every
SELECT id, hazards, regions, levels, tiers, owner, reason, since, until, lifted, lifter,
    since <= %(at)s AND until > %(at)s AND lifted IS NULL AS active
FROM silence ORDER BY id DESC LIMIT %(limit)s;

-- name: add
INSERT INTO silence (hazards, regions, levels, tiers, owner, reason, since, until)
VALUES (%(hazards)s, %(regions)s, %(levels)s, %(tiers)s, %(owner)s, %(reason)s, %(since)s, %(until)s)
RETURNING id;

-- name: lift
UPDATE silence SET lifted = %(at)s, lifter = %(by)s
WHERE id = %(id)s AND lifted IS NULL AND until > %(at)s
RETURNING id;

-- name: unknown
SELECT name FROM unnest(%(regions)s::text[]) AS name
WHERE NOT EXISTS (SELECT FROM region WHERE region.id = name) ORDER BY name;
