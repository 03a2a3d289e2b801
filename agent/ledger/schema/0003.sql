-- What stores were told of before its bytes come, and what they no longer have though they had proved it.

-- 1: the store knows that the object is coming. What it is told depends on the urgency, so a changed one is told again.
ALTER TABLE uploads ADD COLUMN announced INTEGER NOT NULL DEFAULT 0 CHECK (announced IN (0, 1));
CREATE INDEX uploads_unannounced ON uploads(store, urgent DESC, number) WHERE announced = 0 AND held = 0;
CREATE TRIGGER uploads_announce_again AFTER UPDATE ON uploads WHEN NEW.announced = 1 AND NEW.urgent <> OLD.urgent
BEGIN UPDATE uploads SET announced = 0 WHERE sha256 = NEW.sha256 AND store = NEW.store; END;

-- A store was asked again about an object that it had proved, and said that it has it no longer.
CREATE TABLE losses (
  sha256 TEXT NOT NULL REFERENCES objects(sha256),
  store TEXT NOT NULL,
  place TEXT NOT NULL,
  event INTEGER NOT NULL REFERENCES events(seq),
  PRIMARY KEY (sha256, event)
) STRICT;
CREATE INDEX losses_in_order ON losses(event);
CREATE TRIGGER losses_event BEFORE INSERT ON losses
WHEN NEW.event IS NOT (SELECT max(seq) FROM events)
  OR NOT EXISTS (SELECT 1 FROM events WHERE seq = NEW.event AND event = 'object.lost_by_store'
  AND json_extract(line, '$.sha256') = NEW.sha256 AND json_extract(line, '$.store') = NEW.store)
BEGIN SELECT RAISE(ABORT, 'a loss needs its own custody event'); END;
CREATE TRIGGER losses_same BEFORE UPDATE ON losses BEGIN SELECT RAISE(ABORT, 'losses are never changed'); END;
CREATE TRIGGER losses_kept BEFORE DELETE ON losses BEGIN SELECT RAISE(ABORT, 'losses are never forgotten'); END;

CREATE TRIGGER objects_purge_lost BEFORE UPDATE ON objects
WHEN NEW.spool = 'absent' AND OLD.spool = 'present' AND NEW.fault IS NULL AND EXISTS (
  SELECT 1 FROM losses l JOIN stores s ON s.name = l.store AND s.place = l.place WHERE l.sha256 = OLD.sha256
  AND NOT EXISTS (SELECT 1 FROM current_receipts r WHERE r.sha256 = l.sha256 AND r.store = l.store))
BEGIN SELECT RAISE(ABORT, 'unsafe purge of what a store has lost'); END;

-- Receipts that count today: also given after the store last said that it has lost the object.
DROP VIEW current_receipts;
CREATE VIEW current_receipts AS
SELECT r.*, s.require, s.counts
FROM receipts r
JOIN stores s ON s.name = r.store AND s.place = r.place
JOIN objects o ON o.sha256 = r.sha256 AND o.size_bytes = r.size_bytes AND r.event > o.spooled_event
WHERE NOT EXISTS (SELECT 1 FROM losses l WHERE l.sha256 = r.sha256 AND l.store = r.store AND l.place = r.place
  AND l.event > r.event);
CREATE TRIGGER losses_owe AFTER INSERT ON losses BEGIN INSERT INTO owing VALUES (NEW.sha256); END;
