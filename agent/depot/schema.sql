-- The depot's catalogue. Times are microseconds since 1970 UTC, sizes are bytes.
-- What is finished stays: the triggers refuse it to every code path.

CREATE TABLE uploads (
    id          TEXT PRIMARY KEY CHECK (length(id) = 32 AND id NOT GLOB '*[^0-9a-f]*'),
    station     TEXT NOT NULL CHECK (length(station) BETWEEN 1 AND 64),
    length      INTEGER NOT NULL CHECK (length >= 0),
    metadata    TEXT NOT NULL CHECK (json_type(metadata) = 'object'), -- key to base64, as sent
    created_us  INTEGER NOT NULL,
    -- Set when all bytes are durable, before the part is moved: tells a restart where they went.
    sha256      TEXT CHECK (length(sha256) = 64 AND sha256 NOT GLOB '*[^0-9a-f]*'),
    -- Set when the object is durable under its name; only then is the client told.
    finished_us INTEGER,
    CHECK (finished_us IS NULL OR sha256 IS NOT NULL)
) STRICT;

CREATE INDEX uploads_by_digest ON uploads (station, sha256) WHERE finished_us IS NOT NULL;
CREATE INDEX uploads_unfinished ON uploads (id) WHERE finished_us IS NULL;

CREATE TABLE receipts (
    number    INTEGER PRIMARY KEY,
    upload    TEXT NOT NULL REFERENCES uploads (id),
    issued_us INTEGER NOT NULL,
    statement TEXT NOT NULL,
    signature TEXT NOT NULL -- base64
) STRICT;

CREATE INDEX receipts_by_upload ON receipts (upload);

CREATE TRIGGER finished_upload_is_fixed BEFORE UPDATE ON uploads WHEN OLD.finished_us IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a finished upload is never changed'); END;

CREATE TRIGGER finished_upload_stays BEFORE DELETE ON uploads WHEN OLD.finished_us IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a finished upload is never removed'); END;

CREATE TRIGGER upload_keeps_its_owner BEFORE UPDATE OF id, station, length, metadata, created_us ON uploads
BEGIN SELECT RAISE(ABORT, 'only the digest and the time of finishing are ever set'); END;

CREATE TRIGGER receipt_needs_a_finished_upload BEFORE INSERT ON receipts
WHEN (SELECT finished_us FROM uploads WHERE id = NEW.upload) IS NULL
BEGIN SELECT RAISE(ABORT, 'a receipt is only for a finished upload'); END;

CREATE TRIGGER receipt_is_fixed BEFORE UPDATE ON receipts
BEGIN SELECT RAISE(ABORT, 'a receipt is never changed'); END;

CREATE TRIGGER receipt_stays BEFORE DELETE ON receipts
BEGIN SELECT RAISE(ABORT, 'a receipt is never removed'); END;

PRAGMA user_version = 1;
