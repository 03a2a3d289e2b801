-- Version 2: what stations have announced and not brought yet. It proves nothing; what has arrived is in `uploads`.

CREATE TABLE announcements (
    number       INTEGER PRIMARY KEY, -- in the order of announcing
    station      TEXT NOT NULL CHECK (length(station) BETWEEN 1 AND 64),
    sha256       TEXT NOT NULL CHECK (length(sha256) = 64 AND sha256 NOT GLOB '*[^0-9a-f]*'),
    size         INTEGER NOT NULL CHECK (size >= 0),
    camera       TEXT NOT NULL,
    path         BLOB NOT NULL,
    started_at   TEXT,
    event        INTEGER NOT NULL CHECK (event IN (0, 1)),
    urgent       INTEGER NOT NULL CHECK (urgent IN (0, 1)),
    announced_us INTEGER NOT NULL,
    UNIQUE (station, sha256)
) STRICT;

CREATE INDEX announcements_of_station ON announcements (station, number);

CREATE TRIGGER what_is_here_is_not_awaited BEFORE INSERT ON announcements
WHEN EXISTS (SELECT 1 FROM uploads WHERE station = NEW.station AND sha256 = NEW.sha256 AND finished_us IS NOT NULL)
BEGIN SELECT RAISE(IGNORE); END;

CREATE TRIGGER what_arrives_is_awaited_no_more AFTER UPDATE OF finished_us ON uploads WHEN NEW.finished_us IS NOT NULL
BEGIN DELETE FROM announcements WHERE station = NEW.station AND sha256 = NEW.sha256; END;

PRAGMA user_version = 2;
