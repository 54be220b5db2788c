-- Browsers in which somebody has signed in to an account before: strangers who try passwords can't slow these down.
CREATE TABLE known_browsers (
    hash  TEXT   NOT NULL PRIMARY KEY,
    owner TEXT   NOT NULL REFERENCES identities (name),
    used  BIGINT NOT NULL
);
CREATE INDEX known_browsers_of ON known_browsers (owner);
