-- What people decide about uploads, and uploads that leave the order because their store refuses them again and again.

-- Uploads that a person has stopped, to one store or ('') to all of them.
CREATE TABLE upload_pauses (
  store TEXT PRIMARY KEY,
  actor TEXT NOT NULL,
  reason TEXT NOT NULL,
  event INTEGER NOT NULL REFERENCES events(seq)
) STRICT;
CREATE TRIGGER upload_pauses_event BEFORE INSERT ON upload_pauses
WHEN NEW.event IS NOT (SELECT max(seq) FROM events)
  OR NOT EXISTS (SELECT 1 FROM events WHERE seq = NEW.event AND event = 'queue.paused'
    AND json_extract(line, '$.store') IS nullif(NEW.store, ''))
BEGIN SELECT RAISE(ABORT, 'a pause of uploads needs its own custody event'); END;
CREATE TRIGGER upload_pauses_same BEFORE UPDATE ON upload_pauses
BEGIN SELECT RAISE(ABORT, 'a pause of uploads is never changed'); END;
CREATE TRIGGER upload_pauses_end BEFORE DELETE ON upload_pauses
WHEN NOT EXISTS (SELECT 1 FROM events WHERE seq = (SELECT max(seq) FROM events) AND event = 'queue.resumed'
  AND coalesce(json_extract(line, '$.store'), OLD.store) = OLD.store)
BEGIN SELECT RAISE(ABORT, 'a pause of uploads ends with its own custody event'); END;

-- A clip whose upload waits until a person lets it go: who and why. It is no legal hold (`hold`), which forbids to destroy.
ALTER TABLE clips ADD COLUMN held_back TEXT;
CREATE INDEX clips_held_back ON clips(sha256) WHERE held_back IS NOT NULL;
CREATE TRIGGER clips_start_free BEFORE INSERT ON clips WHEN NEW.held_back IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a clip starts with nobody holding it back'); END;
CREATE TRIGGER clips_hold_back BEFORE UPDATE ON clips
WHEN NEW.held_back IS NOT OLD.held_back
  AND NOT EXISTS (SELECT 1 FROM events WHERE seq = (SELECT max(seq) FROM events) AND clip = NEW.id
    AND event = iif(NEW.held_back IS NULL, 'clip.let_go', 'clip.held_back'))
BEGIN SELECT RAISE(ABORT, 'to hold an upload back, or to let it go, needs its own custody event'); END;

-- `asked_person` is from here on: set aside until `next_us`, because it was refused too often.
ALTER TABLE uploads ADD COLUMN held INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1));
DROP INDEX uploads_ready;
CREATE INDEX uploads_ready ON uploads(store, urgent, camera, number)
  WHERE next_us = 0 AND asked_person = 0 AND held = 0;
DROP INDEX uploads_paused;
-- `<> 0` and not `> 0`: of two lower bounds SQLite would search by the useless one.
CREATE INDEX uploads_paused ON uploads(asked_person, next_us) WHERE next_us <> 0 AND asked_person = 0;
CREATE INDEX uploads_aside ON uploads(asked_person, next_us) WHERE asked_person = 1;
CREATE INDEX uploads_held ON uploads(held, number) WHERE held = 1;

DROP TRIGGER owing_settled;
DROP TRIGGER clips_owe;
DROP VIEW owed;
CREATE VIEW owed AS
SELECT o.sha256, s.name AS store, c.camera, c.number,
  EXISTS (SELECT 1 FROM clips u WHERE u.sha256 = o.sha256 AND u.custody IN ('spooled', 'confirmed')
    AND (u.event OR u.requested)) AS urgent,
  EXISTS (SELECT 1 FROM clips h WHERE h.sha256 = o.sha256 AND h.held_back IS NOT NULL) AS held
FROM objects o CROSS JOIN stores s CROSS JOIN clips c
WHERE o.spool = 'present'
  AND c.number = (SELECT min(number) FROM (
    SELECT min(number) AS number FROM clips WHERE sha256 = o.sha256 AND custody = 'spooled'
    UNION ALL SELECT min(number) FROM clips WHERE sha256 = o.sha256 AND custody = 'confirmed'))
  AND NOT EXISTS (SELECT 1 FROM current_receipts r
    WHERE r.sha256 = o.sha256 AND r.store = s.name AND r.kind >= r.require);
CREATE TRIGGER owing_settled INSTEAD OF INSERT ON owing BEGIN
  DELETE FROM uploads WHERE sha256 = NEW.sha256 AND store NOT IN (SELECT store FROM owed WHERE sha256 = NEW.sha256);
  INSERT INTO uploads (sha256, store, camera, urgent, number, held)
  SELECT sha256, store, camera, urgent, number, held FROM owed WHERE sha256 = NEW.sha256
  ON CONFLICT DO UPDATE
  SET camera = excluded.camera, urgent = excluded.urgent, number = excluded.number, held = excluded.held
  WHERE urgent <> excluded.urgent OR number <> excluded.number OR held <> excluded.held;
END;
CREATE TRIGGER clips_owe AFTER UPDATE ON clips
WHEN NEW.sha256 IS NOT NULL AND (NEW.custody <> OLD.custody OR NEW.event <> OLD.event OR NEW.requested <> OLD.requested
  OR NEW.held_back IS NOT OLD.held_back)
BEGIN INSERT INTO owing VALUES (NEW.sha256); END;
