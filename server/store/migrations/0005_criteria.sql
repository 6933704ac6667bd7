-- Versions of the criteria, what was tried with them, and who put which in force from when.

CREATE TABLE criteria_version (
    number  integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    text    text        NOT NULL,          -- the file, as it was written
    digest  text        NOT NULL,          -- SHA-256 of it, hexadecimal
    author  text        NOT NULL CHECK (author <> ''),
    note    text        NOT NULL,
    written timestamptz NOT NULL
);
CREATE INDEX criteria_version_digest ON criteria_version (digest);

CREATE TRIGGER criteria_version_immutable BEFORE UPDATE OR DELETE ON criteria_version
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER criteria_version_kept BEFORE TRUNCATE ON criteria_version
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What a version would have done: it and what was in force, over the same stored readings.
CREATE TABLE criteria_trial (
    id       integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version  integer     REFERENCES criteria_version,  -- NULL: a text that was never kept
    digest   text        NOT NULL,         -- of the text that was tried
    beside   integer     REFERENCES criteria_version,  -- what was in force; NULL: the settings' file
    author   text        NOT NULL,
    start    timestamptz NOT NULL,
    "end"    timestamptz NOT NULL,
    step     integer,                      -- seconds between two decisions; NULL: as time allows
    state    text        NOT NULL CHECK (state IN ('running', 'done', 'failed')),
    progress real        NOT NULL DEFAULT 0,
    problem  text        NOT NULL DEFAULT '',
    result   jsonb,
    asked    timestamptz NOT NULL,
    ended    timestamptz
);
CREATE INDEX criteria_trial_digest ON criteria_trial (digest) WHERE state = 'done';
CREATE INDEX criteria_trial_running ON criteria_trial (id) WHERE state = 'running';

-- The audit: one row for everything that was done, never changed.
CREATE TABLE criteria_act (
    id      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    act     text        NOT NULL CHECK (act IN ('written', 'tried', 'in_force')),
    version integer     NOT NULL REFERENCES criteria_version,
    digest  text        NOT NULL,
    author  text        NOT NULL CHECK (author <> ''),
    note    text        NOT NULL,
    at      timestamptz NOT NULL,          -- by the real clock
    trial   integer     REFERENCES criteria_trial,     -- what it was tried with; NULL: it was not
    since   timestamptz,                   -- in_force: from when, in the readings' own time
    CHECK ((act = 'in_force') = (since IS NOT NULL)),
    -- What was not tried is put in force only with a reason.
    CHECK (act <> 'in_force' OR trial IS NOT NULL OR note <> '')
);
CREATE INDEX criteria_act_since ON criteria_act (since, id) WHERE act = 'in_force';

CREATE TRIGGER criteria_act_immutable BEFORE UPDATE OR DELETE ON criteria_act
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER criteria_act_kept BEFORE TRUNCATE ON criteria_act
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
