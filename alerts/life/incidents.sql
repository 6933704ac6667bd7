-- name: waiting
-- Events that nobody has heard of yet, with their place; those of the highest level first.
SELECT to_jsonb(warning) AS warning, to_jsonb(place) AS region
FROM warning
JOIN region AS place ON place.id = warning.region
WHERE warning.ended IS NULL
    AND warning.state IN ('proposed', 'draft', 'submitted', 'approved')
    AND (%(hazard)s::text IS NULL OR warning.hazard = %(hazard)s::text)
    AND (%(region)s::text IS NULL OR warning.region = %(region)s::text)
ORDER BY array_position(%(levels)s::text[], warning.level) DESC, warning.opened DESC, warning.id
LIMIT %(limit)s;

-- name: find
SELECT to_jsonb(warning) AS warning, to_jsonb(place) AS region
FROM warning
JOIN region AS place ON place.id = warning.region
WHERE warning.id = ANY(%(ids)s::uuid[]);

-- name: place
SELECT to_jsonb(region) FROM region WHERE id = %(id)s;
