-- The life of a warning: who leads it, what was written by hand, and who did what when.

ALTER TABLE warning
    ADD COLUMN version    integer NOT NULL DEFAULT 1, -- counts the changes that people see
    ADD COLUMN led        text    NOT NULL DEFAULT 'watch' CHECK (led IN ('watch', 'hand')),
    ADD COLUMN author     text    NOT NULL DEFAULT '', -- empty: the watch
    ADD COLUMN approver   text    NOT NULL DEFAULT '',
    ADD COLUMN veto_until timestamptz,                -- an automatic one waits until then
    ADD COLUMN barred     text    NOT NULL DEFAULT '', -- stopped by a person up to this level
    ADD COLUMN suggestion jsonb,                      -- what the watch would do with what a person leads
    ADD COLUMN reminded   integer NOT NULL DEFAULT 0, -- message whose end the desk was reminded of
    ADD COLUMN onset      timestamptz,                -- as a person set it
    ADD COLUMN until      timestamptz,
    ADD COLUMN text       jsonb   NOT NULL DEFAULT '{}', -- own wording by language
    ADD COLUMN area       jsonb,                      -- GeoJSON polygon drawn by hand
    ADD COLUMN notices    jsonb   NOT NULL DEFAULT '[]';

-- An exercise written by hand stands beside what is real.
DROP INDEX warning_running;
CREATE UNIQUE INDEX warning_running ON warning (hazard, region, exercise) WHERE ended IS NULL;

-- What an event is never changes, and what has ended stays as it ended.
CREATE FUNCTION guard_warning() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.hazard, NEW.region, NEW.exercise, NEW.opened)
        IS DISTINCT FROM (OLD.id, OLD.hazard, OLD.region, OLD.exercise, OLD.opened)
    THEN
        RAISE EXCEPTION USING
            ERRCODE = 'integrity_constraint_violation',
            MESSAGE = 'the danger, the place and whether it is an exercise never change';
    ELSIF OLD.ended IS NOT NULL AND NEW IS DISTINCT FROM OLD THEN
        RAISE EXCEPTION USING
            ERRCODE = 'integrity_constraint_violation',
            MESSAGE = 'a warning that has ended is never changed';
    ELSIF NEW.version < OLD.version OR NEW.number < OLD.number THEN
        RAISE EXCEPTION USING
            ERRCODE = 'integrity_constraint_violation',
            MESSAGE = 'a warning never goes back to an earlier version';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER warning_guard BEFORE UPDATE ON warning
    FOR EACH ROW EXECUTE FUNCTION guard_warning();

-- Who did what when; only ever added to.
CREATE TABLE warning_act (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    warning    uuid        NOT NULL REFERENCES warning,
    version    integer     NOT NULL,           -- of the warning after it
    act        text        NOT NULL,
    from_state text,                           -- NULL: the beginning
    to_state   text        NOT NULL,
    level      text        NOT NULL,
    person     bigint,                         -- NULL: the watch
    name       text        NOT NULL DEFAULT '',
    note       text        NOT NULL DEFAULT '',
    at         timestamptz NOT NULL
);
CREATE INDEX warning_act_warning ON warning_act (warning, id);

CREATE TRIGGER warning_act_immutable BEFORE UPDATE OR DELETE ON warning_act
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER warning_act_kept BEFORE TRUNCATE ON warning_act
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
