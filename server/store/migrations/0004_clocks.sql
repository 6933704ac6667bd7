-- How far the clock of each station is off, by its live readings.

CREATE TABLE clock (
    station  integer     PRIMARY KEY REFERENCES station (id) ON DELETE CASCADE,
    "offset" real        NOT NULL,         -- seconds that its times lie behind ours
    suspect  boolean     NOT NULL,
    seen     timestamptz NOT NULL,         -- when its newest live reading came
    written  timestamptz NOT NULL
);
