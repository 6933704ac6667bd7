-- Stations, readings and the log of what was committed.
-- What stands in braces is filled in by the partitions module: it depends on the kind of database.
-- Everything else is the same everywhere.

CREATE TABLE meta (
    name  text PRIMARY KEY,
    value text NOT NULL
);

CREATE TABLE station (
    id        integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name      text NOT NULL UNIQUE CHECK (name ~ '^[A-Za-z0-9-]{1,64}$'),
    zh        text NOT NULL DEFAULT '',
    en        text NOT NULL DEFAULT '',
    longitude double precision,
    latitude  double precision,
    elevation double precision,
    key_hash  bytea,                       -- SHA-256 of the station's random key
    added     timestamptz NOT NULL
);

-- One row per (station, time): a column per common element, a quality code beside each.
-- Quality: NULL not checked; bits 0-7 the checks that failed, bits 8-14 the checks that were made.
-- No foreign key to station: the ingest knows only stations that exist, and the check costs on every row.
CREATE TABLE observation (
    station   integer     NOT NULL,
    time      timestamptz NOT NULL,
    "interval" integer    NOT NULL,
    revision  smallint    NOT NULL DEFAULT 0,
    longitude real,
    latitude  real,
    altitude  real,
    -- The wide elements of the vocabulary, in its order; then their quality codes.
    air_temperature                                                real,
    dew_point_temperature                                          real,
    relative_humidity                                              real,
    air_pressure                                                   real,
    air_pressure_at_mean_sea_level                                 real,
    wind_speed                                                     real,
    wind_from_direction                                            real,
    wind_speed_of_gust                                             real,
    wind_gust_from_direction                                       real,
    precipitation_amount                                           real,
    lwe_thickness_of_snowfall_amount                               real,
    visibility_in_air                                              real,
    surface_temperature                                            real,
    road_surface_temperature                                       real,
    surface_snow_thickness                                         real,
    surface_downwelling_shortwave_flux_in_air                      real,
    mass_concentration_of_pm2p5_ambient_aerosol_particles_in_air   real,
    mass_concentration_of_pm10_ambient_aerosol_particles_in_air    real,
    atmospheric_electric_field                                     real,
    atmosphere_mass_content_of_water_vapor                         real,
    sea_surface_temperature                                        real,
    sea_surface_wave_significant_height                            real,
    battery_voltage                                                real,
    air_temperature_q                                              smallint,
    dew_point_temperature_q                                        smallint,
    relative_humidity_q                                            smallint,
    air_pressure_q                                                 smallint,
    air_pressure_at_mean_sea_level_q                               smallint,
    wind_speed_q                                                   smallint,
    wind_from_direction_q                                          smallint,
    wind_speed_of_gust_q                                           smallint,
    wind_gust_from_direction_q                                     smallint,
    precipitation_amount_q                                         smallint,
    lwe_thickness_of_snowfall_amount_q                             smallint,
    visibility_in_air_q                                            smallint,
    surface_temperature_q                                          smallint,
    road_surface_temperature_q                                     smallint,
    surface_snow_thickness_q                                       smallint,
    surface_downwelling_shortwave_flux_in_air_q                    smallint,
    mass_concentration_of_pm2p5_ambient_aerosol_particles_in_air_q smallint,
    mass_concentration_of_pm10_ambient_aerosol_particles_in_air_q  smallint,
    atmospheric_electric_field_q                                   smallint,
    atmosphere_mass_content_of_water_vapor_q                       smallint,
    sea_surface_temperature_q                                      smallint,
    sea_surface_wave_significant_height_q                          smallint,
    battery_voltage_q                                              smallint,
    PRIMARY KEY (station, time)
) {partition};

CREATE TABLE observation_rare (
    station   integer     NOT NULL,
    time      timestamptz NOT NULL,
    element   smallint    NOT NULL,
    value     real        NOT NULL,
    quality   smallint,
    PRIMARY KEY (station, time, element)
) {partition};

-- The time of the newest reading of each station.
CREATE TABLE latest (
    station integer PRIMARY KEY,
    time    timestamptz NOT NULL
) WITH (fillfactor = 50);

-- The log of commits: one row per ingest transaction, read by each consumer at its own pace.
-- Ordered by (xid, id) and read only below pg_snapshot_xmin(), so no commit can be overtaken.
CREATE TABLE arrival (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid      xid8 NOT NULL DEFAULT pg_current_xact_id(),
    stored   timestamptz NOT NULL,
    stations integer[] NOT NULL,
    times    timestamptz[] NOT NULL
);
CREATE INDEX arrival_order ON arrival (xid, id);

CREATE TABLE consumer (
    name    text PRIMARY KEY,
    xid     xid8 NOT NULL DEFAULT '0',
    arrival bigint NOT NULL DEFAULT 0,
    time    timestamptz                    -- how far it has decided, in the readings' own time
);

CREATE TABLE quarantine (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received timestamptz NOT NULL,
    topic    text NOT NULL,
    payload  bytea NOT NULL,
    reason   text NOT NULL,
    detail   text NOT NULL,
    replayed timestamptz
);
CREATE INDEX quarantine_received ON quarantine (received);

-- Hours and days, recomputed from the raw rows whenever one of them changes.
CREATE TABLE rollup (
    element  smallint    NOT NULL,
    hours    smallint    NOT NULL,         -- 1, or 24 for a day
    time     timestamptz NOT NULL,         -- end of the hour or day
    station  integer     NOT NULL,
    readings integer     NOT NULL,
    seconds  integer     NOT NULL,         -- what the readings cover
    value    real        NOT NULL,         -- as the element aggregates
    minimum  real        NOT NULL,
    maximum  real        NOT NULL,
    PRIMARY KEY (element, hours, time, station)
);
CREATE INDEX rollup_series ON rollup (station, hours, time);

{hypertables}
