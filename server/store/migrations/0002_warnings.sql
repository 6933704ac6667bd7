-- Regions, warnings, messages and what each person was sent. Used by alerts/ alone.

CREATE TABLE region (
    id         text PRIMARY KEY,
    zh         text NOT NULL,
    en         text NOT NULL,
    boundary   jsonb NOT NULL,             -- GeoJSON Polygon or MultiPolygon, WGS 84
    population integer,
    sample     boolean NOT NULL            -- generated round a station, not an official boundary
);

CREATE TABLE region_station (
    region  text NOT NULL REFERENCES region ON DELETE CASCADE,
    station integer NOT NULL REFERENCES station ON DELETE CASCADE,
    PRIMARY KEY (region, station)
);

-- One row per event: a danger at a place, across its levels. The present state beside its messages.
CREATE TABLE warning (
    id        uuid PRIMARY KEY,
    hazard    text NOT NULL,
    region    text NOT NULL REFERENCES region,
    state     text NOT NULL,
    level     text NOT NULL CHECK (level IN ('blue', 'yellow', 'orange', 'red')),
    door      text NOT NULL CHECK (door IN ('observed', 'expected')),
    exercise  boolean NOT NULL,
    opened    timestamptz NOT NULL,
    since     timestamptz NOT NULL,        -- of the present level
    held      timestamptz NOT NULL,        -- when a criterion was last seen to be met
    decided   timestamptz NOT NULL,        -- the last moment that was looked at
    sent      timestamptz,                 -- the newest message
    expires   timestamptz NOT NULL,
    ended     timestamptz,
    number    integer NOT NULL,            -- messages so far
    grounds   jsonb NOT NULL,              -- by level: when it was last met, and by what
    UNIQUE (id, exercise)
);
CREATE UNIQUE INDEX warning_running ON warning (hazard, region) WHERE ended IS NULL;
CREATE INDEX warning_opened ON warning (opened);
CREATE INDEX warning_ended ON warning (ended);

-- The chain of published messages; immutable.
CREATE TABLE message (
    id       uuid PRIMARY KEY,
    warning  uuid NOT NULL,
    number   integer NOT NULL,
    act      text NOT NULL CHECK (act IN ('issue', 'update', 'upgrade', 'downgrade', 'cancel', 'expire')),
    level    text NOT NULL,
    door     text NOT NULL,
    exercise boolean NOT NULL,
    sent     timestamptz NOT NULL,
    onset    timestamptz NOT NULL,
    expires  timestamptz NOT NULL,
    evidence jsonb NOT NULL,
    cap      text NOT NULL,
    serial   bigint NOT NULL UNIQUE,       -- in the order in which messages become visible
    UNIQUE (warning, number),
    UNIQUE (id, exercise),
    CHECK (onset < expires AND sent < expires),
    -- What an exercise says is an exercise, whatever becomes of the warning's row.
    FOREIGN KEY (warning, exercise) REFERENCES warning (id, exercise)
);
CREATE INDEX message_sent ON message (sent);

-- Whoever follows the messages by serial misses none: the lock lasts until the writer has committed.
CREATE SEQUENCE message_serial;
CREATE FUNCTION number_message() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('message_serial'));
    NEW.serial := nextval('message_serial');
    RETURN NEW;
END
$$;
CREATE TRIGGER message_number BEFORE INSERT ON message
    FOR EACH ROW EXECUTE FUNCTION number_message();

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'integrity_constraint_violation',
        MESSAGE = 'what was published or written for sending is never changed: ' || TG_TABLE_NAME;
END
$$;
CREATE TRIGGER message_immutable BEFORE UPDATE OR DELETE ON message
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER message_kept BEFORE TRUNCATE ON message
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE subscriber (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name     text NOT NULL,
    phone    text NOT NULL UNIQUE,
    language text NOT NULL,
    tier     text NOT NULL CHECK (tier IN ('official', 'officer', 'public')),
    lowest   text NOT NULL CHECK (lowest IN ('blue', 'yellow', 'orange', 'red')),
    hazards  text[] NOT NULL DEFAULT '{}', -- empty: all
    regions  text[] NOT NULL
);
CREATE INDEX subscriber_regions ON subscriber USING gin (regions);

-- The ledger: one row per (message, recipient, channel), written before anything is sent.
CREATE TABLE delivery (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    message    uuid NOT NULL,
    subscriber bigint NOT NULL REFERENCES subscriber,
    channel    text NOT NULL,
    exercise   boolean NOT NULL,
    address    text NOT NULL,
    body       text NOT NULL,
    segments   integer NOT NULL,
    priority   integer NOT NULL,           -- the smaller the sooner: level, then tier
    state      text NOT NULL DEFAULT 'queued' CHECK (
        state IN ('queued', 'sending', 'accepted', 'delivered', 'failed', 'expired', 'uncertain')
    ),
    attempts   integer NOT NULL DEFAULT 0,
    due        timestamptz NOT NULL,
    expires    timestamptz NOT NULL,
    worker     integer,                    -- holds the advisory lock of this number while it lives
    provider   text,                       -- the provider's own number of it
    problem    text,
    changed    timestamptz NOT NULL,
    UNIQUE (message, subscriber, channel),
    FOREIGN KEY (message, exercise) REFERENCES message (id, exercise),
    -- What was written as an exercise has no way to a real recipient.
    CHECK (exercise = (channel = 'exercise'))
);
CREATE INDEX delivery_due ON delivery (priority, due, id) WHERE state = 'queued';
CREATE INDEX delivery_late ON delivery (expires) WHERE state = 'queued' AND NOT exercise;
CREATE INDEX delivery_sending ON delivery (worker) WHERE state = 'sending';
CREATE INDEX delivery_subscriber ON delivery (subscriber, changed);

CREATE TRIGGER delivery_immutable
    BEFORE UPDATE OF id, message, subscriber, channel, exercise, address, body ON delivery
    FOR EACH ROW
    WHEN (
        (OLD.id, OLD.message, OLD.subscriber, OLD.channel, OLD.exercise, OLD.address, OLD.body)
        IS DISTINCT FROM
        (NEW.id, NEW.message, NEW.subscriber, NEW.channel, NEW.exercise, NEW.address, NEW.body)
    )
    EXECUTE FUNCTION refuse_change();
