-- Outlets that come to us: display screens, and stations that read out or crawl what is in force.

CREATE TABLE screen (
    name       text PRIMARY KEY CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$'),
    kind       text NOT NULL CHECK (kind IN ('display', 'broadcast')),
    title      text NOT NULL,              -- where it stands, as the desk calls it
    subscriber bigint NOT NULL UNIQUE REFERENCES subscriber, -- its places, dangers, language
    contact    bigint NOT NULL UNIQUE REFERENCES contact,
    key        bytea NOT NULL,             -- SHA-256 of the key that it shows us
    added      timestamptz NOT NULL,
    seen       timestamptz,                -- its last sign of life
    state      text NOT NULL DEFAULT '',   -- what it says of itself; off: its last will
    shown      uuid[] NOT NULL DEFAULT '{}', -- messages that it says it shows
    shown_at   timestamptz                 -- since when it shows just these
);
