-- Closed notices, versions of the policy, and what somebody does not want said for a while.

ALTER TABLE message DROP CONSTRAINT message_act_check;
ALTER TABLE message ADD CONSTRAINT message_act_check CHECK (act IN (
    'issue', 'update', 'upgrade', 'downgrade', 'cancel', 'expire', 'notice', 'withdraw'
));

-- What waits for a digest, and who heard of an event.
CREATE INDEX delivery_digest ON delivery (subscriber, due) WHERE reason = 'digest';

-- The policy as it was put in force; the newest counts, the settings' file where there is none.
CREATE TABLE policy_version (
    number  integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    text    text        NOT NULL,
    author  text        NOT NULL,
    note    text        NOT NULL DEFAULT '',
    written timestamptz NOT NULL
);
CREATE TRIGGER policy_version_immutable BEFORE UPDATE OR DELETE ON policy_version
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER policy_version_kept BEFORE TRUNCATE ON policy_version
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Empty lists: every danger, region, level (but red, which nothing silences), tier.
CREATE TABLE silence (
    id      integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hazards text[]      NOT NULL DEFAULT '{}',
    regions text[]      NOT NULL DEFAULT '{}',
    levels  text[]      NOT NULL DEFAULT '{}' CHECK (levels <@ ARRAY['blue', 'yellow', 'orange']),
    tiers   text[]      NOT NULL DEFAULT '{}',
    owner   text        NOT NULL CHECK (owner <> ''),
    reason  text        NOT NULL CHECK (reason <> ''),
    since   timestamptz NOT NULL,
    until   timestamptz NOT NULL,
    lifted  timestamptz,                   -- ended before its time
    lifter  text,
    CHECK (since < until AND until <= since + interval '7 days'),
    CHECK ((lifted IS NULL) = (lifter IS NULL))
);
CREATE INDEX silence_until ON silence (until);
