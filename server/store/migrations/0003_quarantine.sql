-- The same message, refused again, is counted; replays find what waits for them.

ALTER TABLE quarantine
    ADD COLUMN station text NOT NULL DEFAULT '',   -- who it came from, as far as that was told
    ADD COLUMN times   integer NOT NULL DEFAULT 1, -- how often it was refused
    ADD COLUMN newest  timestamptz,                -- when it came last, if more than once
    ADD COLUMN digest  bytea UNIQUE;               -- of what may be counted, until it is replayed

UPDATE quarantine SET station = split_part(topic, '/', 3) WHERE topic LIKE 'fenghuo/v1/%/obs';

CREATE INDEX quarantine_waiting ON quarantine (id) WHERE replayed IS NULL;
