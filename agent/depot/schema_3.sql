-- Version 3: further sightings of bytes that are here already, which nobody sent again. What is told stays.

CREATE TABLE sightings (
    number   INTEGER PRIMARY KEY, -- in the order of telling
    upload   TEXT NOT NULL REFERENCES uploads (id),
    clip     TEXT NOT NULL,
    metadata TEXT NOT NULL CHECK (json_type(metadata) = 'object'), -- key to base64, as sent
    told_us  INTEGER NOT NULL,
    UNIQUE (upload, clip)
) STRICT;

CREATE TRIGGER sighting_is_of_something_finished BEFORE INSERT ON sightings
WHEN (SELECT finished_us FROM uploads WHERE id = NEW.upload) IS NULL
BEGIN SELECT RAISE(ABORT, 'only what is here can be sighted again'); END;

CREATE TRIGGER sighting_is_fixed BEFORE UPDATE ON sightings
BEGIN SELECT RAISE(ABORT, 'a sighting is never changed'); END;

CREATE TRIGGER sighting_stays BEFORE DELETE ON sightings
BEGIN SELECT RAISE(ABORT, 'a sighting is never removed'); END;

PRAGMA user_version = 3;
