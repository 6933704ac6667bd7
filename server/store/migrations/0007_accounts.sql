-- The people who warn: accounts, sessions, links that work once, and the audit of every act.

CREATE TABLE account (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name     text NOT NULL UNIQUE,         -- by which they sign in; folded
    title    text NOT NULL,                -- how they are shown
    password text,                         -- Argon2id; NULL until their first link was used
    roles    text[] NOT NULL CHECK (roles <@ ARRAY['forecaster', 'approver', 'officer', 'admin']),
    -- Empty: everywhere. Not references: a region that goes must never widen what somebody may do.
    regions  text[] NOT NULL,
    added    timestamptz NOT NULL,
    disabled timestamptz
);

-- Browsers that are signed in, and the tokens of machines. Only the SHA-256 of a secret is kept.
CREATE TABLE session (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account bigint NOT NULL REFERENCES account,
    digest  bytea NOT NULL UNIQUE,
    kind    text NOT NULL CHECK (kind IN ('browser', 'machine')),
    label   text NOT NULL,                 -- what the browser says it is; what the token is for
    address text NOT NULL,
    made    timestamptz NOT NULL,
    seen    timestamptz NOT NULL,          -- to the minute
    expires timestamptz NOT NULL,          -- whatever is done until then
    ended   timestamptz
);
CREATE INDEX session_account ON session (account) WHERE ended IS NULL;
CREATE INDEX session_expires ON session (expires);

CREATE TABLE one_time_link (
    digest  bytea PRIMARY KEY,
    kind    text NOT NULL CHECK (kind IN ('first', 'invite', 'reset')),
    account bigint REFERENCES account,
    made    timestamptz NOT NULL,
    expires timestamptz NOT NULL,
    used    timestamptz,
    CHECK ((kind = 'first') = (account IS NULL))
);
CREATE INDEX one_time_link_account ON one_time_link (account) WHERE used IS NULL;

-- Attempts to sign in that did not succeed, or not yet; kept for minutes.
CREATE TABLE signin_attempt (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name    bytea NOT NULL,                -- SHA-256: people type their password here, too
    address text NOT NULL,
    at      timestamptz NOT NULL
);
CREATE INDEX signin_attempt_name ON signin_attempt (name, at);
CREATE INDEX signin_attempt_address ON signin_attempt (address, at);
CREATE INDEX signin_attempt_at ON signin_attempt (at);

-- The audit: one row for every act, chained by SHA-256, never changed.
CREATE TABLE audit (
    id      bigint PRIMARY KEY,            -- without gaps
    at      timestamptz NOT NULL,          -- by the real clock
    account bigint REFERENCES account,     -- NULL: not by somebody who was signed in
    name    text NOT NULL,                 -- who, as it was then
    act     text NOT NULL,
    subject text NOT NULL,                 -- what it was done to
    detail  json NOT NULL,                 -- json keeps the very text, over which the digest goes
    digest  bytea NOT NULL                 -- of this row and the digest of the one before
);
CREATE INDEX audit_subject ON audit (subject, id);

CREATE TRIGGER audit_immutable BEFORE UPDATE OR DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_kept BEFORE TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
