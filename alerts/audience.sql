-- name: save
INSERT INTO subscriber (name, phone, language, tier, lowest, hazards, regions)
VALUES (%(name)s, %(phone)s, %(language)s, %(tier)s, %(lowest)s, %(hazards)s, %(regions)s)
ON CONFLICT (phone) DO UPDATE SET
    name = excluded.name, language = excluded.language, tier = excluded.tier,
    lowest = excluded.lowest, hazards = excluded.hazards, regions = excluded.regions;

-- name: count
SELECT tier, count(*) FROM subscriber
WHERE regions @> ARRAY[%(region)s::text]
    AND (hazards = '{}' OR %(hazard)s::text = ANY(hazards))
    AND array_position(ARRAY['blue', 'yellow', 'orange', 'red'], lowest)
        <= array_position(ARRAY['blue', 'yellow', 'orange', 'red'], %(level)s::text)
GROUP BY tier;
