PRAGMA user_version = 3;
BEGIN TRANSACTION;
CREATE TABLE cameras (
  id TEXT PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 200),
  profile TEXT NOT NULL,
  model TEXT,
  first_seen_us INTEGER NOT NULL,
  last_seen_us INTEGER NOT NULL,
  claimed_by TEXT,
  seized_by TEXT,
  seized_reason TEXT,
  CHECK ((seized_by IS NULL) = (seized_reason IS NULL))
) STRICT;
INSERT INTO "cameras" VALUES('CAM-1','plain',NULL,1772366400000000,1772366400000000,'config',NULL,NULL);
CREATE TABLE clips (
  id TEXT PRIMARY KEY CHECK (length(id) = 21 AND id GLOB 'c*'),
  number INTEGER NOT NULL UNIQUE,           -- order of first sighting; never a clock
  camera TEXT NOT NULL REFERENCES cameras(id),
  session INTEGER NOT NULL REFERENCES sessions(id),
  listing INTEGER NOT NULL REFERENCES events(seq),  -- the newest walk over the medium that showed it
  path BLOB NOT NULL CHECK (length(path) BETWEEN 1 AND 4096),
  size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0),
  mtime_ns INTEGER NOT NULL,
  role TEXT NOT NULL,
  event INTEGER NOT NULL CHECK (event IN (0, 1)),
  requested INTEGER NOT NULL DEFAULT 0 CHECK (requested IN (0, 1)),
  started_at TEXT,
  ended_at TEXT,
  officer TEXT,
  custody TEXT NOT NULL CHECK (custody IN ('listed', 'spooled', 'confirmed', 'quarantined', 'lost')),
  copy TEXT NOT NULL CHECK (copy IN ('present', 'wipe_intended', 'gone', 'missing')),
  sha256 TEXT REFERENCES objects(sha256),
  hold TEXT,
  problem TEXT,
  read_in INTEGER REFERENCES sessions(id),    -- the session that last read the camera's bytes whole
  looked_in INTEGER REFERENCES sessions(id),  -- the session that did so as the last look before a wipe
  unlinked_in INTEGER REFERENCES sessions(id), -- the session whose reader acknowledged the unlink
  last_event INTEGER NOT NULL REFERENCES events(seq), held_back TEXT,
  CHECK (custody NOT IN ('spooled', 'confirmed') OR sha256 IS NOT NULL),
  CHECK (copy NOT IN ('wipe_intended', 'gone') OR custody = 'confirmed'),
  CHECK (copy <> 'gone' OR unlinked_in IS NOT NULL),
  CHECK (copy IN ('wipe_intended', 'gone') OR unlinked_in IS NULL),
  CHECK (custody <> 'quarantined' OR problem IS NOT NULL)
) STRICT;
INSERT INTO "clips" VALUES('c061634b2a2aa8b4b0ca7',1,'CAM-1',1,3,X'4443494D2F6B6570742E4D5034',4,1000,'clip',0,0,NULL,NULL,NULL,'listed','present',NULL,NULL,NULL,NULL,NULL,NULL,4,NULL);
INSERT INTO "clips" VALUES('cdfb12b49139291e294a7',2,'CAM-1',1,3,X'4443494D2F636F706965642E4D5034',6,1000,'clip',0,0,NULL,NULL,NULL,'confirmed','present','fb30593ca32df57a8a0f19d551710dc880a98b208b6e180b07e6aff59102d148',NULL,NULL,1,NULL,NULL,8,NULL);
CREATE TABLE copy_moves (was TEXT NOT NULL, becomes TEXT NOT NULL, PRIMARY KEY (was, becomes)) STRICT;
INSERT INTO "copy_moves" VALUES('present','wipe_intended');
INSERT INTO "copy_moves" VALUES('wipe_intended','gone');
INSERT INTO "copy_moves" VALUES('wipe_intended','present');
INSERT INTO "copy_moves" VALUES('present','missing');
INSERT INTO "copy_moves" VALUES('missing','present');
CREATE TABLE custody_moves (was TEXT NOT NULL, becomes TEXT NOT NULL, PRIMARY KEY (was, becomes)) STRICT;
INSERT INTO "custody_moves" VALUES('listed','spooled');
INSERT INTO "custody_moves" VALUES('listed','quarantined');
INSERT INTO "custody_moves" VALUES('listed','lost');
INSERT INTO "custody_moves" VALUES('spooled','confirmed');
INSERT INTO "custody_moves" VALUES('spooled','quarantined');
INSERT INTO "custody_moves" VALUES('spooled','listed');
INSERT INTO "custody_moves" VALUES('quarantined','spooled');
INSERT INTO "custody_moves" VALUES('quarantined','listed');
INSERT INTO "custody_moves" VALUES('lost','listed');
CREATE TABLE doubts (
  reason TEXT PRIMARY KEY CHECK (reason IN ('ledger_unaudited', 'ledger_damaged', 'ledger_rolled_back')),
  told TEXT NOT NULL                        -- for a person: what was found, where
) STRICT;
CREATE TABLE events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- SQLite remembers the highest number given: a log whose end was cut is known
  event TEXT NOT NULL,
  clip TEXT,
  camera TEXT,
  at_us INTEGER NOT NULL,
  line TEXT NOT NULL UNIQUE,
  digest TEXT NOT NULL CHECK (length(digest) = 64)
) STRICT;
INSERT INTO "events" VALUES(1,'camera.claimed',NULL,'CAM-1',1772366400000000,'{"seq":1,"prev":"0000000000000000000000000000000000000000000000000000000000000000","event":"camera.claimed","at":"2026-03-01T12:00:00.000000Z","monotonic_us":32948046936,"boot":"boot-1","station":"hub7","tool":"test","camera":"CAM-1","actor":"config"}','1d33ec4ef5dbc47cf4afe1c8a7708103db1a0c486a39284137a9bcd12deb51e8');
INSERT INTO "events" VALUES(2,'camera.docked',NULL,'CAM-1',1772366400000000,'{"seq":2,"prev":"1d33ec4ef5dbc47cf4afe1c8a7708103db1a0c486a39284137a9bcd12deb51e8","event":"camera.docked","at":"2026-03-01T12:00:00.000000Z","monotonic_us":32948047651,"boot":"boot-1","station":"hub7","tool":"test","camera":"CAM-1","bay":"1","session":1}','a06d50c728c9aa57f22994dfd453f66ce745d2b7751a3ae18eec8b0bd11affc4');
INSERT INTO "events" VALUES(3,'camera.listing',NULL,'CAM-1',1772366400000000,'{"seq":3,"prev":"a06d50c728c9aa57f22994dfd453f66ce745d2b7751a3ae18eec8b0bd11affc4","event":"camera.listing","at":"2026-03-01T12:00:00.000000Z","monotonic_us":32948062800,"boot":"boot-1","station":"hub7","tool":"test","camera":"CAM-1","session":1}','8dbf671139082ac2f5b3c59951b3ddc9e19b0703161a43f28f963af03ff59485');
INSERT INTO "events" VALUES(4,'clip.listed','c061634b2a2aa8b4b0ca7','CAM-1',1772366400000000,'{"seq":4,"prev":"8dbf671139082ac2f5b3c59951b3ddc9e19b0703161a43f28f963af03ff59485","event":"clip.listed","at":"2026-03-01T12:00:00.000000Z","monotonic_us":32948063261,"boot":"boot-1","station":"hub7","tool":"test","camera":"CAM-1","clip":"c061634b2a2aa8b4b0ca7","session":1,"path_hex":"4443494d2f6b6570742e4d5034","size":4,"mtime_ns":1000,"role":"clip","marked":false,"custody":"listed","copy":"present"}','923c9a4211cf2bd81dd27f3ac844c4099d5fcb7f784f7e1270e7444b2a297af4');
INSERT INTO "events" VALUES(5,'clip.listed','cdfb12b49139291e294a7','CAM-1',1772366400000000,'{"seq":5,"prev":"923c9a4211cf2bd81dd27f3ac844c4099d5fcb7f784f7e1270e7444b2a297af4","event":"clip.listed","at":"2026-03-01T12:00:00.000000Z","monotonic_us":32948068402,"boot":"boot-1","station":"hub7","tool":"test","camera":"CAM-1","clip":"cdfb12b49139291e294a7","session":1,"path_hex":"4443494d2f636f706965642e4d5034","size":6,"mtime_ns":1000,"role":"clip","marked":false,"custody":"listed","copy":"present"}','79e0fe7966e972026f40040827f404e0b2b7d527002fce0403439af1fd619d35');
INSERT INTO "events" VALUES(6,'clip.spooled','cdfb12b49139291e294a7','CAM-1',1772366400000000,'{"seq":6,"prev":"79e0fe7966e972026f40040827f404e0b2b7d527002fce0403439af1fd619d35","event":"clip.spooled","at":"2026-03-01T12:00:00.000000Z","monotonic_us":32948085936,"boot":"boot-1","station":"hub7","tool":"test","camera":"CAM-1","clip":"cdfb12b49139291e294a7","custody":"spooled","copy":"present","session":1,"sha256":"fb30593ca32df57a8a0f19d551710dc880a98b208b6e180b07e6aff59102d148","size":6,"bay":"1"}','850196b9156ddb0889563d49099bd3c5f2ec4d2833ec7460adf2584b4d67f998');
INSERT INTO "events" VALUES(7,'object.proved',NULL,NULL,1772366400000000,'{"seq":7,"prev":"850196b9156ddb0889563d49099bd3c5f2ec4d2833ec7460adf2584b4d67f998","event":"object.proved","at":"2026-03-01T12:00:00.000000Z","monotonic_us":32948120588,"boot":"boot-1","station":"hub7","tool":"test","sha256":"fb30593ca32df57a8a0f19d551710dc880a98b208b6e180b07e6aff59102d148","size":6,"store":"central","kind":"signed","place":"tus+https://store.test/files/"}','bac0c26b5737f5a68ccbab09e233a3cab96489dd26e225f6acf380c4edcceaa6');
INSERT INTO "events" VALUES(8,'clip.confirmed','cdfb12b49139291e294a7','CAM-1',1772366400000000,'{"seq":8,"prev":"bac0c26b5737f5a68ccbab09e233a3cab96489dd26e225f6acf380c4edcceaa6","event":"clip.confirmed","at":"2026-03-01T12:00:00.000000Z","monotonic_us":32948141804,"boot":"boot-1","station":"hub7","tool":"test","camera":"CAM-1","clip":"cdfb12b49139291e294a7","custody":"confirmed","copy":"present","session":1,"sha256":"fb30593ca32df57a8a0f19d551710dc880a98b208b6e180b07e6aff59102d148","size":6,"stores":["central"]}','8a7c8c0451fe14cb0a276d0076a4bb0f898bfe6afa41d369fd025e72e2d9cf12');
CREATE TABLE gate (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  copies INTEGER NOT NULL CHECK (copies >= 1),
  wiping INTEGER NOT NULL CHECK (wiping IN (0, 1))
) STRICT;
INSERT INTO "gate" VALUES(1,1,1);
CREATE TABLE losses (
  sha256 TEXT NOT NULL REFERENCES objects(sha256),
  store TEXT NOT NULL,
  place TEXT NOT NULL,
  event INTEGER NOT NULL REFERENCES events(seq),
  PRIMARY KEY (sha256, event)
) STRICT;
CREATE TABLE objects (
  sha256 TEXT PRIMARY KEY CHECK (length(sha256) = 64 AND sha256 NOT GLOB '*[^0-9a-f]*'),
  size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0),
  spool TEXT NOT NULL CHECK (spool IN ('present', 'absent')),
  fault TEXT,                     -- why the spool's copy vanished without a purge
  spooled_us INTEGER NOT NULL,
  spooled_event INTEGER NOT NULL REFERENCES events(seq),  -- newest time its bytes came off a camera: receipts must be newer
  confirmed_us INTEGER
) STRICT;
INSERT INTO "objects" VALUES('fb30593ca32df57a8a0f19d551710dc880a98b208b6e180b07e6aff59102d148',6,'present',NULL,1772366400000000,5,1772366400000000);
CREATE TABLE receipts (
  sha256 TEXT NOT NULL REFERENCES objects(sha256),
  store TEXT NOT NULL,
  place TEXT NOT NULL,
  kind INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 3),
  size_bytes INTEGER NOT NULL,
  handle TEXT NOT NULL,
  issued_us INTEGER NOT NULL,
  checked_us INTEGER NOT NULL,
  proof TEXT NOT NULL CHECK (length(proof) > 0),
  event INTEGER NOT NULL REFERENCES events(seq),
  PRIMARY KEY (sha256, event)
) STRICT;
INSERT INTO "receipts" VALUES('fb30593ca32df57a8a0f19d551710dc880a98b208b6e180b07e6aff59102d148','central','tus+https://store.test/files/',3,6,'handle',1772366400000000,1772366400000000,'the signed text',7);
CREATE TABLE sessions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  camera TEXT NOT NULL REFERENCES cameras(id),
  bay TEXT NOT NULL,
  started_us INTEGER NOT NULL,
  ended_us INTEGER,
  outcome TEXT
) STRICT;
INSERT INTO "sessions" VALUES(1,'CAM-1','1',1772366400000000,NULL,NULL);
CREATE TABLE spool_tally (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  objects INTEGER NOT NULL CHECK (objects >= 0),
  bytes REAL NOT NULL
) STRICT;
INSERT INTO "spool_tally" VALUES(1,1,6.0);
CREATE TABLE stores (
  name TEXT PRIMARY KEY,
  require INTEGER NOT NULL CHECK (require BETWEEN 1 AND 3),  -- 1 checksum, 2 readback, 3 signed
  counts INTEGER NOT NULL CHECK (counts IN (0, 1)),          -- may open the gate
  place TEXT NOT NULL                                        -- its URL: receipts from elsewhere do not count for it
) STRICT;
INSERT INTO "stores" VALUES('central',3,1,'tus+https://store.test/files/');
CREATE TABLE tallies (
  camera TEXT NOT NULL,
  role TEXT NOT NULL,
  custody TEXT NOT NULL,
  copy TEXT NOT NULL,
  held INTEGER NOT NULL,
  clips INTEGER NOT NULL CHECK (clips >= 0),
  bytes REAL NOT NULL,
  PRIMARY KEY (camera, role, custody, copy, held)
) STRICT, WITHOUT ROWID;
INSERT INTO "tallies" VALUES('CAM-1','clip','confirmed','present',0,1,6.0);
INSERT INTO "tallies" VALUES('CAM-1','clip','listed','present',0,1,4.0);
INSERT INTO "tallies" VALUES('CAM-1','clip','spooled','present',0,0,0.0);
CREATE TABLE upload_pauses (
  store TEXT PRIMARY KEY,
  actor TEXT NOT NULL,
  reason TEXT NOT NULL,
  event INTEGER NOT NULL REFERENCES events(seq)
) STRICT;
CREATE TABLE uploads (
  sha256 TEXT NOT NULL REFERENCES objects(sha256),
  store TEXT NOT NULL,
  camera TEXT NOT NULL,           -- of its oldest sighting
  urgent INTEGER NOT NULL CHECK (urgent IN (0, 1)),
  number INTEGER NOT NULL,        -- of its oldest sighting
  hint TEXT,                      -- the adapter's handle; the store's answer wins over it
  attempts INTEGER NOT NULL DEFAULT 0,
  next_us INTEGER NOT NULL DEFAULT 0,  -- not before; 0 = now
  asked_person INTEGER NOT NULL DEFAULT 0 CHECK (asked_person IN (0, 1)),
  problem TEXT, held INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1)), announced INTEGER NOT NULL DEFAULT 0 CHECK (announced IN (0, 1)),
  PRIMARY KEY (sha256, store)
) STRICT;
CREATE TRIGGER custody_moves_fixed BEFORE INSERT ON custody_moves BEGIN SELECT RAISE(ABORT, 'moves are fixed'); END;
CREATE TRIGGER custody_moves_kept BEFORE DELETE ON custody_moves BEGIN SELECT RAISE(ABORT, 'moves are fixed'); END;
CREATE TRIGGER custody_moves_same BEFORE UPDATE ON custody_moves BEGIN SELECT RAISE(ABORT, 'moves are fixed'); END;
CREATE TRIGGER copy_moves_fixed BEFORE INSERT ON copy_moves BEGIN SELECT RAISE(ABORT, 'moves are fixed'); END;
CREATE TRIGGER copy_moves_kept BEFORE DELETE ON copy_moves BEGIN SELECT RAISE(ABORT, 'moves are fixed'); END;
CREATE TRIGGER copy_moves_same BEFORE UPDATE ON copy_moves BEGIN SELECT RAISE(ABORT, 'moves are fixed'); END;
CREATE TRIGGER gate_kept BEFORE DELETE ON gate BEGIN SELECT RAISE(ABORT, 'the gate cannot be removed'); END;
CREATE TRIGGER cameras_decided BEFORE UPDATE ON cameras
WHEN (NEW.seized_by IS NOT OLD.seized_by OR NEW.seized_reason IS NOT OLD.seized_reason
      OR NEW.claimed_by IS NOT OLD.claimed_by)
  AND NOT EXISTS (SELECT 1 FROM events WHERE seq = (SELECT max(seq) FROM events) AND camera = NEW.id
    AND event IN ('camera.seized', 'camera.released', 'camera.claimed'))
BEGIN SELECT RAISE(ABORT, 'a decision about a camera needs its own custody event'); END;
CREATE TRIGGER cameras_kept BEFORE DELETE ON cameras BEGIN SELECT RAISE(ABORT, 'cameras are never forgotten'); END;
CREATE TRIGGER sessions_kept BEFORE DELETE ON sessions BEGIN SELECT RAISE(ABORT, 'sessions are never forgotten'); END;
CREATE TRIGGER sessions_ended BEFORE UPDATE ON sessions
WHEN OLD.ended_us IS NOT NULL OR NEW.camera <> OLD.camera OR NEW.bay <> OLD.bay
BEGIN SELECT RAISE(ABORT, 'a session ends once and stays where it was'); END;
CREATE INDEX sessions_open ON sessions(camera) WHERE ended_us IS NULL;
CREATE INDEX sessions_of_camera ON sessions(camera);
CREATE INDEX events_of_clip ON events(clip, seq) WHERE clip IS NOT NULL;
CREATE TRIGGER events_follow BEFORE INSERT ON events
WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM events)
  OR json_extract(NEW.line, '$.seq') IS NOT NEW.seq
  OR json_extract(NEW.line, '$.event') IS NOT NEW.event
  OR json_extract(NEW.line, '$.prev') IS NOT
     coalesce((SELECT digest FROM events WHERE seq = NEW.seq - 1), '0000000000000000000000000000000000000000000000000000000000000000')
BEGIN SELECT RAISE(ABORT, 'a custody event must follow from the one before'); END;
CREATE TRIGGER doubts_settled BEFORE DELETE ON doubts
WHEN (SELECT event FROM events WHERE seq = (SELECT max(seq) FROM events)) IS NOT
  CASE OLD.reason WHEN 'ledger_rolled_back' THEN 'ledger.accepted' ELSE 'ledger.audited' END
BEGIN SELECT RAISE(ABORT, 'a doubt ends with its own custody event'); END;
CREATE TRIGGER doubts_named BEFORE UPDATE ON doubts WHEN NEW.reason <> OLD.reason
BEGIN SELECT RAISE(ABORT, 'a doubt never becomes another'); END;
CREATE TRIGGER events_same BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'custody events are never changed'); END;
CREATE TRIGGER events_kept BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'custody events are never removed'); END;
CREATE INDEX objects_in_spool ON objects(sha256, size_bytes) WHERE spool = 'present';
CREATE INDEX objects_to_purge ON objects(confirmed_us, sha256) WHERE spool = 'present' AND confirmed_us IS NOT NULL;
CREATE TRIGGER objects_start BEFORE INSERT ON objects WHEN NEW.spool <> 'present'
BEGIN SELECT RAISE(ABORT, 'an object starts in the spool'); END;
CREATE TRIGGER objects_kept BEFORE DELETE ON objects BEGIN SELECT RAISE(ABORT, 'objects are never forgotten'); END;
CREATE TRIGGER objects_identity BEFORE UPDATE ON objects
WHEN NEW.sha256 <> OLD.sha256 OR NEW.size_bytes <> OLD.size_bytes OR NEW.spooled_event < OLD.spooled_event
BEGIN SELECT RAISE(ABORT, 'an object is its bytes'); END;
CREATE TRIGGER receipts_event BEFORE INSERT ON receipts
WHEN NEW.event IS NOT (SELECT max(seq) FROM events)
  OR NOT EXISTS (SELECT 1 FROM events WHERE seq = NEW.event AND event = 'object.proved'
  AND json_extract(line, '$.sha256') = NEW.sha256 AND json_extract(line, '$.store') = NEW.store)
BEGIN SELECT RAISE(ABORT, 'a receipt needs its own custody event'); END;
CREATE TRIGGER receipts_fit BEFORE INSERT ON receipts
WHEN NEW.size_bytes IS NOT (SELECT size_bytes FROM objects WHERE sha256 = NEW.sha256)
BEGIN SELECT RAISE(ABORT, 'the receipt is for another size'); END;
CREATE TRIGGER receipts_same BEFORE UPDATE ON receipts BEGIN SELECT RAISE(ABORT, 'receipts are never changed'); END;
CREATE TRIGGER receipts_kept BEFORE DELETE ON receipts BEGIN SELECT RAISE(ABORT, 'receipts are never removed'); END;
CREATE VIEW proofs AS
SELECT sha256, count(DISTINCT store) AS stores FROM current_receipts WHERE counts = 1 AND kind >= require GROUP BY sha256;
CREATE INDEX uploads_told ON uploads(sha256, store) WHERE problem IS NOT NULL;
CREATE UNIQUE INDEX clips_aboard ON clips(camera, path, size_bytes, mtime_ns) WHERE copy IN ('present', 'wipe_intended');
CREATE INDEX clips_of_object ON clips(sha256, custody, number) WHERE sha256 IS NOT NULL;
CREATE INDEX clips_urgent ON clips(sha256, custody) WHERE (event OR requested) AND sha256 IS NOT NULL;
CREATE INDEX clips_find ON clips(camera, path, size_bytes, mtime_ns);
CREATE INDEX clips_in_turn ON clips(camera, custody, (event OR requested) DESC, number) WHERE copy = 'present';
CREATE INDEX clips_to_copy_again ON clips(camera) WHERE custody = 'listed' AND sha256 IS NOT NULL;
CREATE INDEX clips_unlisted ON clips(camera, listing) WHERE copy IN ('present', 'wipe_intended');
CREATE INDEX clips_unread ON clips(session, number)
  WHERE copy = 'present' AND custody IN ('spooled', 'confirmed') AND read_in IS NOT session;
CREATE INDEX clips_to_wipe ON clips(camera, role, number)
  WHERE custody = 'confirmed' AND copy = 'present' AND hold IS NULL;
CREATE INDEX clips_by_session ON clips(session);
CREATE INDEX clips_waiting ON clips(sha256) WHERE custody = 'spooled';
CREATE TRIGGER clips_tallied AFTER INSERT ON clips BEGIN
  INSERT INTO tallies VALUES (NEW.camera, NEW.role, NEW.custody, NEW.copy, NEW.hold IS NOT NULL, 1, NEW.size_bytes)
  ON CONFLICT DO UPDATE SET clips = clips + 1, bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER clips_tallied_again AFTER UPDATE ON clips
WHEN NEW.custody <> OLD.custody OR NEW.copy <> OLD.copy OR (NEW.hold IS NULL) <> (OLD.hold IS NULL) BEGIN
  UPDATE tallies SET clips = clips - 1, bytes = bytes - OLD.size_bytes
  WHERE camera = OLD.camera AND role = OLD.role AND custody = OLD.custody AND copy = OLD.copy
    AND held = (OLD.hold IS NOT NULL);
  INSERT INTO tallies VALUES (NEW.camera, NEW.role, NEW.custody, NEW.copy, NEW.hold IS NOT NULL, 1, NEW.size_bytes)
  ON CONFLICT DO UPDATE SET clips = clips + 1, bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER objects_tallied AFTER INSERT ON objects BEGIN
  UPDATE spool_tally SET objects = objects + 1, bytes = bytes + NEW.size_bytes;
END;
CREATE TRIGGER objects_tallied_again AFTER UPDATE ON objects WHEN NEW.spool <> OLD.spool BEGIN
  UPDATE spool_tally SET objects = objects + iif(NEW.spool = 'present', 1, -1),
    bytes = bytes + iif(NEW.spool = 'present', NEW.size_bytes, -NEW.size_bytes);
END;
CREATE VIEW owing AS SELECT NULL AS sha256 WHERE 0;
CREATE TRIGGER objects_owe AFTER UPDATE ON objects
WHEN NEW.spool <> OLD.spool OR NEW.spooled_event <> OLD.spooled_event
BEGIN INSERT INTO owing VALUES (NEW.sha256); END;
CREATE TRIGGER receipts_owe AFTER INSERT ON receipts BEGIN INSERT INTO owing VALUES (NEW.sha256); END;
CREATE TRIGGER stores_owe AFTER INSERT ON stores BEGIN
  INSERT INTO owing SELECT sha256 FROM objects WHERE spool = 'present';
END;
CREATE TRIGGER stores_owe_again AFTER UPDATE ON stores
WHEN NEW.name <> OLD.name OR NEW.place <> OLD.place OR NEW.require <> OLD.require BEGIN
  DELETE FROM uploads WHERE store = OLD.name AND (OLD.name <> NEW.name OR OLD.place <> NEW.place);  -- a hint is about its place
  INSERT INTO owing SELECT sha256 FROM objects WHERE spool = 'present';
END;
CREATE TRIGGER stores_owe_no_more AFTER DELETE ON stores BEGIN DELETE FROM uploads WHERE store = OLD.name; END;
CREATE TRIGGER clips_kept BEFORE DELETE ON clips BEGIN SELECT RAISE(ABORT, 'clips are never forgotten'); END;
CREATE TRIGGER clips_start BEFORE INSERT ON clips
WHEN NEW.custody <> 'listed' OR NEW.copy <> 'present' OR NEW.sha256 IS NOT NULL OR NEW.looked_in IS NOT NULL OR NEW.read_in IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a clip starts as listed and present'); END;
CREATE TRIGGER clips_start_event BEFORE INSERT ON clips
WHEN NEW.last_event IS NOT (SELECT max(seq) FROM events)
  OR NEW.id IS NOT (SELECT clip FROM events WHERE seq = NEW.last_event)
BEGIN SELECT RAISE(ABORT, 'a clip starts with its own custody event'); END;
CREATE TRIGGER clips_identity BEFORE UPDATE ON clips
WHEN NEW.id <> OLD.id OR NEW.number <> OLD.number OR NEW.camera <> OLD.camera OR NEW.path <> OLD.path
  OR NEW.size_bytes <> OLD.size_bytes OR NEW.mtime_ns <> OLD.mtime_ns OR NEW.role <> OLD.role
BEGIN SELECT RAISE(ABORT, 'a sighting never changes what it saw'); END;
CREATE TRIGGER clips_session BEFORE UPDATE ON clips
WHEN NEW.camera IS NOT (SELECT camera FROM sessions WHERE id = NEW.session)
BEGIN SELECT RAISE(ABORT, 'a session of another camera'); END;
CREATE TRIGGER clips_unlinked BEFORE UPDATE ON clips
WHEN NEW.unlinked_in IS NOT NULL AND NEW.unlinked_in IS NOT OLD.unlinked_in
  AND (NEW.unlinked_in IS NOT NEW.session
    OR NOT EXISTS (SELECT 1 FROM events WHERE seq = (SELECT max(seq) FROM events) AND clip = NEW.id
      AND event = 'copy.unlinked'))
BEGIN SELECT RAISE(ABORT, 'an unlink needs its own custody event'); END;
CREATE TRIGGER clips_hold BEFORE UPDATE ON clips
WHEN NEW.hold IS NOT OLD.hold
  AND NOT EXISTS (SELECT 1 FROM events WHERE seq = (SELECT max(seq) FROM events) AND clip = NEW.id
    AND event IN ('clip.held', 'clip.unheld'))
BEGIN SELECT RAISE(ABORT, 'a hold needs its own custody event'); END;
CREATE TRIGGER clips_digest BEFORE UPDATE ON clips WHEN OLD.sha256 IS NOT NULL AND NEW.sha256 IS NOT OLD.sha256
BEGIN SELECT RAISE(ABORT, 'a clip keeps the digest of its bytes'); END;
CREATE TRIGGER clips_event BEFORE UPDATE ON clips
WHEN (NEW.custody <> OLD.custody OR NEW.copy <> OLD.copy)
  AND (NEW.last_event IS NOT (SELECT max(seq) FROM events)
    OR NEW.id IS NOT (SELECT clip FROM events WHERE seq = NEW.last_event)
    OR NEW.last_event <= OLD.last_event)
BEGIN SELECT RAISE(ABORT, 'a move needs its own custody event'); END;
CREATE TRIGGER clips_custody BEFORE UPDATE ON clips
WHEN NEW.custody <> OLD.custody AND NOT EXISTS (SELECT 1 FROM custody_moves WHERE was = OLD.custody AND becomes = NEW.custody)
BEGIN SELECT RAISE(ABORT, 'illegal custody move'); END;
CREATE TRIGGER clips_copy BEFORE UPDATE ON clips
WHEN NEW.copy <> OLD.copy AND NOT EXISTS (SELECT 1 FROM copy_moves WHERE was = OLD.copy AND becomes = NEW.copy)
BEGIN SELECT RAISE(ABORT, 'illegal move of the camera copy'); END;
CREATE TRIGGER clips_spooled BEFORE UPDATE ON clips
WHEN NEW.custody = 'spooled' AND OLD.custody <> 'spooled'
  AND NOT EXISTS (SELECT 1 FROM objects WHERE sha256 = NEW.sha256 AND spool = 'present' AND size_bytes = NEW.size_bytes)
BEGIN SELECT RAISE(ABORT, 'spooled without its bytes in the spool'); END;
CREATE TRIGGER clips_confirmed BEFORE UPDATE ON clips
WHEN NEW.custody = 'confirmed' AND OLD.custody <> 'confirmed'
  AND coalesce((SELECT stores FROM proofs WHERE sha256 = NEW.sha256), 0) < (SELECT copies FROM gate)
BEGIN SELECT RAISE(ABORT, 'confirmed without enough receipts'); END;
CREATE TRIGGER clips_wipe BEFORE UPDATE ON clips
WHEN NEW.copy = 'wipe_intended' AND OLD.copy <> 'wipe_intended' AND (
  EXISTS (SELECT 1 FROM doubts)
  OR NEW.custody <> 'confirmed' OR OLD.custody <> 'confirmed'
  OR NEW.hold IS NOT NULL OR OLD.hold IS NOT NULL
  OR (SELECT wiping FROM gate) <> 1
  OR coalesce((SELECT stores FROM proofs WHERE sha256 = NEW.sha256), 0) < (SELECT copies FROM gate)
  OR (SELECT seized_by FROM cameras WHERE id = NEW.camera) IS NOT NULL
  OR (SELECT claimed_by FROM cameras WHERE id = NEW.camera) IS NULL
  OR NEW.looked_in IS NOT NEW.session
  OR (SELECT ended_us FROM sessions WHERE id = NEW.session) IS NOT NULL)
BEGIN SELECT RAISE(ABORT, 'unsafe wipe'); END;
CREATE TRIGGER objects_purge BEFORE UPDATE ON objects
WHEN NEW.spool = 'absent' AND OLD.spool = 'present' AND (
  (NEW.fault IS NULL AND EXISTS (SELECT 1 FROM doubts))
  OR EXISTS (SELECT 1 FROM clips WHERE sha256 = OLD.sha256 AND custody = 'spooled')
  OR (NEW.fault IS NULL AND EXISTS (
    SELECT 1 FROM clips WHERE sha256 = OLD.sha256 AND (custody <> 'confirmed' OR hold IS NOT NULL)))
  OR (NEW.fault IS NULL AND NOT EXISTS (SELECT 1 FROM clips WHERE sha256 = OLD.sha256)))
BEGIN SELECT RAISE(ABORT, 'unsafe purge'); END;
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
CREATE INDEX clips_held_back ON clips(sha256) WHERE held_back IS NOT NULL;
CREATE TRIGGER clips_start_free BEFORE INSERT ON clips WHEN NEW.held_back IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a clip starts with nobody holding it back'); END;
CREATE TRIGGER clips_hold_back BEFORE UPDATE ON clips
WHEN NEW.held_back IS NOT OLD.held_back
  AND NOT EXISTS (SELECT 1 FROM events WHERE seq = (SELECT max(seq) FROM events) AND clip = NEW.id
    AND event = iif(NEW.held_back IS NULL, 'clip.let_go', 'clip.held_back'))
BEGIN SELECT RAISE(ABORT, 'to hold an upload back, or to let it go, needs its own custody event'); END;
CREATE INDEX uploads_ready ON uploads(store, urgent, camera, number)
  WHERE next_us = 0 AND asked_person = 0 AND held = 0;
CREATE INDEX uploads_paused ON uploads(asked_person, next_us) WHERE next_us <> 0 AND asked_person = 0;
CREATE INDEX uploads_aside ON uploads(asked_person, next_us) WHERE asked_person = 1;
CREATE INDEX uploads_held ON uploads(held, number) WHERE held = 1;
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
CREATE INDEX uploads_unannounced ON uploads(store, urgent DESC, number) WHERE announced = 0 AND held = 0;
CREATE TRIGGER uploads_announce_again AFTER UPDATE ON uploads WHEN NEW.announced = 1 AND NEW.urgent <> OLD.urgent
BEGIN UPDATE uploads SET announced = 0 WHERE sha256 = NEW.sha256 AND store = NEW.store; END;
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
CREATE VIEW current_receipts AS
SELECT r.*, s.require, s.counts
FROM receipts r
JOIN stores s ON s.name = r.store AND s.place = r.place
JOIN objects o ON o.sha256 = r.sha256 AND o.size_bytes = r.size_bytes AND r.event > o.spooled_event
WHERE NOT EXISTS (SELECT 1 FROM losses l WHERE l.sha256 = r.sha256 AND l.store = r.store AND l.place = r.place
  AND l.event > r.event);
CREATE TRIGGER losses_owe AFTER INSERT ON losses BEGIN INSERT INTO owing VALUES (NEW.sha256); END;
COMMIT;
