-- Alerts of other offices (CAP 1.2), read from the sources that an operator named.

CREATE TABLE office_source (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    url       text NOT NULL UNIQUE,        -- a feed, an alert, or file:///… of a folder
    name      text NOT NULL,
    trust     text NOT NULL,               -- PEM: authorities that must have signed; empty: any
    every     integer NOT NULL CHECK (every > 0),      -- seconds between two looks
    added     timestamptz NOT NULL,
    due       timestamptz NOT NULL,
    etag      text NOT NULL DEFAULT '',
    modified  text NOT NULL DEFAULT '',
    looked    timestamptz,                 -- the last look
    succeeded timestamptz,                 -- the last one after which nothing was missing
    problem   jsonb                        -- of the last look: a key of the catalogue, its values
);
CREATE INDEX office_source_due ON office_source (due);

-- Documents that a feed names and that were read; stamp: the feed's own word for their state.
CREATE TABLE office_document (
    source bigint NOT NULL REFERENCES office_source ON DELETE CASCADE,
    url    text NOT NULL,
    stamp  text NOT NULL,
    seen   timestamptz NOT NULL,
    PRIMARY KEY (source, url)
);

-- One row per alert of a source: what one source sends never takes the place of another's.
CREATE TABLE office_alert (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source     bigint NOT NULL REFERENCES office_source ON DELETE CASCADE,
    identifier text NOT NULL,
    sender     text NOT NULL,
    sent       timestamptz NOT NULL,
    status     text NOT NULL CHECK (status IN ('Actual', 'Exercise', 'System', 'Test', 'Draft')),
    kind       text NOT NULL CHECK (kind IN ('Alert', 'Update', 'Cancel')),
    scope      text NOT NULL CHECK (scope IN ('Public', 'Restricted', 'Private')),
    until      timestamptz NOT NULL,       -- when the last of its info blocks expires
    received   timestamptz NOT NULL,
    -- The update or cancel that took its place. No reference: where that row is gone, this one
    -- must not come back.
    replaced   bigint,
    accepted   boolean NOT NULL,           -- its signature is as the source's should be
    problems   jsonb NOT NULL,             -- by language and part of the examination
    signed     jsonb,                      -- by whom
    content    jsonb NOT NULL,             -- info blocks with their areas
    area       jsonb,                      -- GeoJSON of all areas together, where they have one
    geocodes   text[] NOT NULL,
    xml        bytea NOT NULL,
    UNIQUE (source, identifier, sender, sent)
);
CREATE INDEX office_alert_standing ON office_alert (until) WHERE replaced IS NULL;

CREATE TABLE office_reference (
    alert      bigint NOT NULL REFERENCES office_alert ON DELETE CASCADE,
    sender     text NOT NULL,
    identifier text NOT NULL,
    PRIMARY KEY (alert, sender, identifier)
);
CREATE INDEX office_reference_to ON office_reference (sender, identifier);
