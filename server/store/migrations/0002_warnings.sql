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
    level     text NOT NULL,
    door      text NOT NULL,
    exercise  boolean NOT NULL,
    opened    timestamptz NOT NULL,
    since     timestamptz NOT NULL,        -- of the present level
    held      timestamptz NOT NULL,        -- when a criterion was last seen to be met
    expires   timestamptz NOT NULL,
    ended     timestamptz,
    evidence  jsonb NOT NULL
);
CREATE UNIQUE INDEX warning_running ON warning (hazard, region) WHERE ended IS NULL;
CREATE INDEX warning_opened ON warning (opened);

-- The chain of published messages; immutable.
CREATE TABLE message (
    id       uuid PRIMARY KEY,
    warning  uuid NOT NULL REFERENCES warning,
    number   integer NOT NULL,
    act      text NOT NULL,                -- issue, upgrade, downgrade, update, cancel, expire
    level    text NOT NULL,
    door     text NOT NULL,
    exercise boolean NOT NULL,
    sent     timestamptz NOT NULL,
    onset    timestamptz NOT NULL,
    expires  timestamptz NOT NULL,
    evidence jsonb NOT NULL,
    cap      text NOT NULL,
    UNIQUE (warning, number)
);

CREATE TABLE subscriber (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name     text NOT NULL,
    phone    text NOT NULL,
    language text NOT NULL,
    tier     text NOT NULL,                -- official, officer, public
    lowest   text NOT NULL,                -- lowest level this person wants
    hazards  text[] NOT NULL DEFAULT '{}', -- empty: all
    regions  text[] NOT NULL
);

-- The ledger: one row per (message, recipient, channel), written before anything is sent.
CREATE TABLE delivery (
    id         uuid PRIMARY KEY,
    message    uuid NOT NULL REFERENCES message,
    subscriber bigint NOT NULL REFERENCES subscriber,
    channel    text NOT NULL,
    exercise   boolean NOT NULL,
    address    text NOT NULL,
    body       text NOT NULL,
    segments   integer NOT NULL,
    priority   integer NOT NULL,
    state      text NOT NULL,              -- queued, sending, accepted, delivered, failed, uncertain
    attempts   integer NOT NULL DEFAULT 0,
    due        timestamptz NOT NULL,
    expires    timestamptz NOT NULL,
    worker     text,
    provider   text,                       -- the provider's own number of it
    problem    text,
    changed    timestamptz NOT NULL,
    UNIQUE (message, subscriber, channel),
    -- What was written as an exercise has no way to a real recipient.
    CHECK (NOT exercise OR channel = 'exercise')
);
CREATE INDEX delivery_due ON delivery (priority, due) WHERE state IN ('queued', 'sending');
