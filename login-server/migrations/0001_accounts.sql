-- Plain SQL: TEXT and BIGINT only, so that the same statements run on SQLite and PostgreSQL.
-- Times are milliseconds since 1970. Secrets are kept as SHA-256 in hex, passwords as argon2id in PHC form.

-- Users and guests: whoever a certificate can name.
CREATE TABLE identities (
    name     TEXT   NOT NULL PRIMARY KEY,
    password TEXT,
    guest    BIGINT NOT NULL,
    created  BIGINT NOT NULL,
    ends     BIGINT NOT NULL
);

-- A browser or phone of an identity: one instance id.
CREATE TABLE devices (
    id       TEXT   NOT NULL PRIMARY KEY,
    owner    TEXT   NOT NULL REFERENCES identities (name),
    instance TEXT   NOT NULL,
    label    TEXT   NOT NULL,
    created  BIGINT NOT NULL,
    renewed  BIGINT NOT NULL,
    stamp    BIGINT NOT NULL,
    revoked  BIGINT,
    UNIQUE (owner, instance)
);

-- Every certificate; holder is a device's id or a super node's.
CREATE TABLE certificates (
    serial    TEXT   NOT NULL PRIMARY KEY,
    holder    TEXT   NOT NULL,
    issued    BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    revoked   BIGINT
);
CREATE INDEX certificates_of ON certificates (holder);
CREATE INDEX certificates_revoked ON certificates (revoked, not_after);

-- The list in force, as signed; one row.
CREATE TABLE revocation_list (
    id     BIGINT NOT NULL PRIMARY KEY,
    number BIGINT NOT NULL,
    list   TEXT   NOT NULL
);

-- Browsers that are signed in with this server.
CREATE TABLE sessions (
    hash    TEXT   NOT NULL PRIMARY KEY,
    owner   TEXT   NOT NULL REFERENCES identities (name),
    created BIGINT NOT NULL,
    used    BIGINT NOT NULL
);
CREATE INDEX sessions_of ON sessions (owner);

CREATE TABLE codes (
    hash       TEXT   NOT NULL PRIMARY KEY,
    owner      TEXT   NOT NULL REFERENCES identities (name),
    redirect   TEXT   NOT NULL,
    challenge  TEXT   NOT NULL,
    public_key TEXT   NOT NULL,
    instance   TEXT   NOT NULL,
    expires    BIGINT NOT NULL
);

CREATE TABLE enrolment_tokens (
    hash    TEXT   NOT NULL PRIMARY KEY,
    uses    BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    created BIGINT NOT NULL
);

-- names: origins, separated by spaces.
CREATE TABLE super_nodes (
    node      TEXT   NOT NULL PRIMARY KEY,
    names     TEXT   NOT NULL,
    quic      TEXT   NOT NULL,
    enrolled  BIGINT NOT NULL,
    stamp     BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    revoked   BIGINT
);
