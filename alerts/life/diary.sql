-- name: write
INSERT INTO warning_act (warning, version, act, from_state, to_state, level, person, name, note, at)
VALUES (
    %(warning)s, %(version)s, %(act)s, %(from_state)s, %(to_state)s, %(level)s,
    %(person)s, %(name)s, %(note)s, %(at)s
);

-- name: acts
SELECT version, act, from_state, to_state, level, person IS NULL AS watch, name, note, at
FROM warning_act WHERE warning = %(warning)s
ORDER BY id;

-- name: hold
-- Whoever decides on an event has it alone until the end of the transaction.
SELECT to_jsonb(warning) AS warning FROM warning WHERE id = %(id)s FOR UPDATE;

-- name: standing
SELECT to_jsonb(warning) AS warning FROM warning
WHERE hazard = %(hazard)s AND region = %(region)s AND exercise = %(exercise)s AND ended IS NULL
FOR UPDATE;
