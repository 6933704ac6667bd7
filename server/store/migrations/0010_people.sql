-- Who people are besides their address, and the codes by which they prove that it is theirs.

ALTER TABLE subscriber
    ADD COLUMN post bytea,                 -- sealed: office and position
    ADD CHECK ((quiet_from IS NULL) = (quiet_until IS NULL));
CREATE INDEX subscriber_groups ON subscriber USING gin (groups);

-- A code that was asked for: the outbox it is sent from, and what it is checked against.
-- It is no warning, so it is not in the ledger; after a day nothing of it is left.
CREATE TABLE passcode (
    id       uuid        PRIMARY KEY,
    channel  text        NOT NULL CHECK (channel IN ('sms', 'email', 'exercise')),
    way      text        NOT NULL CHECK (way IN ('sms', 'email')), -- what an exercise stands for
    exercise boolean     NOT NULL,
    address  bytea       NOT NULL,         -- sealed
    digest   bytea       NOT NULL,         -- keyed, of way and address
    origin   bytea       NOT NULL,         -- keyed, of the network address it was asked from
    code     bytea       NOT NULL,         -- keyed
    subject  text        NOT NULL,
    body     bytea,                        -- sealed; NULL as soon as it was handed over or used
    language text        NOT NULL,
    state    text        NOT NULL DEFAULT 'queued'
        CHECK (state IN ('queued', 'sending', 'accepted', 'failed', 'uncertain', 'shown')),
    attempts smallint    NOT NULL DEFAULT 0,
    tries    smallint    NOT NULL DEFAULT 0,
    made     timestamptz NOT NULL,
    due      timestamptz NOT NULL,
    expires  timestamptz NOT NULL,
    used     timestamptz,
    session  bytea UNIQUE,                 -- SHA-256 of the secret that the browser got for it
    -- What was written as an exercise has no way to a real recipient.
    CHECK (exercise = (channel = 'exercise')),
    CHECK (exercise OR way = channel)
);
CREATE INDEX passcode_digest ON passcode (digest, made);
CREATE INDEX passcode_origin ON passcode (origin, made);
CREATE INDEX passcode_made ON passcode (made);
CREATE INDEX passcode_due ON passcode (due) WHERE state = 'queued' AND NOT exercise;

-- A database that holds a replayed event is an exercise for good, and so is every code in it,
-- whatever the page believes that asks for one.
CREATE FUNCTION mark_passcode() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM meta WHERE name = 'event_name') AND NOT NEW.exercise THEN
        RAISE EXCEPTION USING
            ERRCODE = 'integrity_constraint_violation',
            MESSAGE = 'in an exercise no code is sent to anybody';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER passcode_exercise BEFORE INSERT OR UPDATE ON passcode
    FOR EACH ROW EXECUTE FUNCTION mark_passcode();
