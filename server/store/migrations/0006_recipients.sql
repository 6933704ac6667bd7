-- Recipients and their contacts, what each channel says, and one delivery for each of them.

-- A recipient: a person, or an outlet such as a screen, a radio station or another platform.
ALTER TABLE subscriber RENAME COLUMN name TO old_name;
ALTER TABLE subscriber DROP CONSTRAINT subscriber_tier_check;
ALTER TABLE subscriber
    ADD CONSTRAINT subscriber_tier_check CHECK (tier IN ('official', 'officer', 'outlet', 'public')),
    ADD COLUMN name        bytea,                      -- sealed; NULL: erased
    ADD COLUMN groups      text[]      NOT NULL DEFAULT '{}',
    ADD COLUMN turn        smallint    NOT NULL DEFAULT 0, -- place in the group's order of escalation
    ADD COLUMN quiet_from  time,                       -- local; what is red comes through
    ADD COLUMN quiet_until time,
    ADD COLUMN digest      boolean     NOT NULL DEFAULT false,
    ADD COLUMN source      text        NOT NULL DEFAULT 'import'
        CHECK (source IN ('import', 'self', 'sample', 'outlet')),
    ADD COLUMN added       timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN left_at     timestamptz,                -- wants no more
    ADD COLUMN erased      timestamptz;

-- SQL has no key: the first byte 0 says that a text is not sealed yet.
UPDATE subscriber SET
    name = '\x00'::bytea || convert_to(old_name, 'UTF8'),
    source = CASE WHEN phone LIKE '+861990000____' THEN 'sample' ELSE 'import' END;

-- One address of a recipient on one channel.
CREATE TABLE contact (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subscriber bigint      NOT NULL REFERENCES subscriber,
    -- An exercise has no address of its own: it stands for one of these.
    channel    text        NOT NULL CHECK (channel <> '' AND channel <> 'exercise'),
    address    bytea,                      -- sealed; NULL: erased
    digest     bytea,                      -- keyed, of channel and normalised address
    hint       text        NOT NULL DEFAULT '', -- what a page shows of it
    confirmed  timestamptz,
    added      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (channel, digest)
);
CREATE INDEX contact_subscriber ON contact (subscriber, channel);

INSERT INTO contact (subscriber, channel, address, hint, confirmed)
SELECT id, 'sms', '\x00'::bytea || convert_to(phone, 'UTF8'), '…' || right(phone, 4), now()
FROM subscriber ORDER BY id;

-- What a message says on one channel in one language; immutable like the message.
CREATE TABLE script (
    message  uuid    NOT NULL REFERENCES message,
    channel  text    NOT NULL,
    language text    NOT NULL,
    subject  text    NOT NULL DEFAULT '',
    body     text    NOT NULL,             -- {ack} becomes the recipient's own link
    segments integer NOT NULL DEFAULT 1,
    PRIMARY KEY (message, channel, language)
);

-- Old bodies, under the language of most who got them; a second one of that language, of people
-- who have changed theirs since, is told apart by a private subtag.
CREATE TEMPORARY TABLE old_script ON COMMIT DROP AS
WITH said AS (
    SELECT delivery.message, delivery.body, min(delivery.segments) AS segments, count(*) AS people,
        mode() WITHIN GROUP (ORDER BY subscriber.language) AS language
    FROM delivery JOIN subscriber ON subscriber.id = delivery.subscriber
    GROUP BY delivery.message, delivery.body
), ranked AS (
    SELECT said.*,
        row_number() OVER (PARTITION BY message, language ORDER BY people DESC, body) AS place
    FROM said
)
SELECT message, body, segments,
    language || CASE WHEN place > 1 THEN '-x-' || place ELSE '' END AS language
FROM ranked;

INSERT INTO script (message, channel, language, body, segments)
SELECT message, 'sms', language, body, segments FROM old_script;

CREATE TRIGGER script_immutable BEFORE UPDATE OR DELETE ON script
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER script_kept BEFORE TRUNCATE ON script
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The ledger: what became of a message for each recipient on each channel.
DROP TRIGGER delivery_immutable ON delivery;
DROP INDEX delivery_due;
DROP INDEX delivery_late;
ALTER TABLE delivery DROP CONSTRAINT delivery_state_check;
ALTER TABLE delivery DROP CONSTRAINT delivery_message_subscriber_channel_key;
ALTER TABLE delivery
    ADD COLUMN contact         bigint REFERENCES contact,
    ADD COLUMN way             text,           -- what an exercise stands for; else the channel
    ADD COLUMN language        text,           -- of its script
    ADD COLUMN tier            text,           -- of the recipient, when it was written
    ADD COLUMN reason          text,           -- why it was not to be sent
    ADD COLUMN handed          timestamptz,    -- when the provider was given it
    ADD COLUMN ask             timestamptz,    -- when the provider is asked what became of it
    ADD COLUMN asks            smallint NOT NULL DEFAULT 0,
    ADD COLUMN followed        boolean  NOT NULL DEFAULT false, -- failed, and looked for another way
    ADD COLUMN acknowledged    timestamptz,
    ADD COLUMN acknowledged_by text,
    ADD COLUMN acknowledgement text;           -- a note

UPDATE delivery SET
    contact = contact.id, way = 'sms', language = old_script.language, tier = subscriber.tier,
    handed = CASE WHEN delivery.state IN ('accepted', 'delivered') THEN delivery.changed END,
    followed = delivery.state = 'failed'
FROM subscriber, contact, old_script
WHERE subscriber.id = delivery.subscriber AND contact.subscriber = delivery.subscriber
    AND old_script.message = delivery.message AND old_script.body = delivery.body;

ALTER TABLE delivery
    DROP COLUMN address,
    DROP COLUMN body,
    DROP COLUMN segments,
    ALTER COLUMN contact SET NOT NULL,
    ALTER COLUMN way SET NOT NULL,
    ALTER COLUMN language SET NOT NULL,
    ALTER COLUMN tier SET NOT NULL,
    ADD UNIQUE (message, subscriber, channel, way),
    ADD CHECK (exercise OR way = channel),
    -- superseded: made needless before it was sent. merged: said in another message.
    -- muted: kept back by the policy; whoever has nothing else of an event has not heard of it.
    ADD CONSTRAINT delivery_state_check CHECK (state IN (
        'queued', 'sending', 'accepted', 'delivered', 'failed', 'expired', 'uncertain',
        'superseded', 'merged', 'muted'
    ));
ALTER TABLE subscriber DROP COLUMN old_name, DROP COLUMN phone;

-- A dispatcher reads each route in this order, message by message.
CREATE INDEX delivery_due ON delivery (channel, priority, message, due, id) WHERE state = 'queued';
CREATE INDEX delivery_before ON delivery (message, channel)
    WHERE state IN ('queued', 'sending') AND tier IN ('official', 'officer');
CREATE INDEX delivery_late ON delivery (expires) WHERE state = 'queued' AND NOT exercise;
CREATE INDEX delivery_ask ON delivery (ask) WHERE ask IS NOT NULL;
CREATE INDEX delivery_failed ON delivery (changed) WHERE state = 'failed' AND NOT followed;
CREATE INDEX delivery_contact ON delivery (contact);

CREATE TRIGGER delivery_immutable
    BEFORE UPDATE OF id, message, subscriber, channel, exercise, contact, way, language, tier ON delivery
    FOR EACH ROW
    WHEN (
        (OLD.id, OLD.message, OLD.subscriber, OLD.channel, OLD.exercise, OLD.contact, OLD.way,
            OLD.language, OLD.tier)
        IS DISTINCT FROM
        (NEW.id, NEW.message, NEW.subscriber, NEW.channel, NEW.exercise, NEW.contact, NEW.way,
            NEW.language, NEW.tier)
    )
    EXECUTE FUNCTION refuse_change();

-- How much each route may still send just now, for all dispatchers together. Worthless after a crash.
CREATE UNLOGGED TABLE route (
    channel text PRIMARY KEY,
    tokens  double precision NOT NULL,
    filled  timestamptz NOT NULL
);
