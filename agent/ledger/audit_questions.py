"""What the audit asks: each question answers with the first thing that cannot be, and with nothing when all is well.

Those with two parameters look at the rows from behind one rowid up to another.
"""

EVENTS = "SELECT seq, event, clip, line, digest, json_valid(line) FROM events WHERE seq > ? ORDER BY seq LIMIT ?"

CLIPS = """
SELECT id, CASE
  WHEN last.clip IS NOT c.id OR json_extract(last.line, '$.custody') IS NULL THEN 'newest event'
  WHEN json_extract(last.line, '$.custody') IS NOT c.custody THEN 'custody'
  WHEN json_extract(last.line, '$.copy') IS NOT c.copy THEN 'camera copy'
  WHEN json_extract(last.line, '$.sha256') IS NOT c.sha256 THEN 'digest'
  WHEN first.event IS NOT 'clip.listed' OR json_extract(first.line, '$.camera') IS NOT c.camera THEN 'camera'
  WHEN json_extract(first.line, '$.path_hex') IS NOT lower(hex(c.path)) THEN 'path'
  WHEN json_extract(first.line, '$.size') IS NOT c.size_bytes THEN 'size'
  WHEN json_extract(first.line, '$.mtime_ns') IS NOT c.mtime_ns THEN 'time'
  WHEN json_extract(first.line, '$.role') IS NOT c.role THEN 'role'
  WHEN (SELECT iif(h.event = 'clip.held', json_extract(h.line, '$.note'), NULL) FROM events h
        WHERE h.clip = c.id AND h.event IN ('clip.held', 'clip.unheld') ORDER BY h.seq DESC LIMIT 1)
       IS NOT c.hold THEN 'hold'
  WHEN (SELECT iif(h.event = 'clip.held_back', json_extract(h.line, '$.note'), NULL) FROM events h
        WHERE h.clip = c.id AND h.event IN ('clip.held_back', 'clip.let_go') ORDER BY h.seq DESC LIMIT 1)
       IS NOT c.held_back THEN 'holding back'
  WHEN EXISTS (SELECT 1 FROM events n WHERE n.clip = c.id AND n.seq > c.last_event
        AND json_extract(n.line, '$.custody') IS NOT NULL) THEN 'state'
  END AS wrong
FROM clips c
LEFT JOIN events last ON last.seq = c.last_event
LEFT JOIN events first ON first.seq = (SELECT min(seq) FROM events WHERE clip = c.id)
WHERE c.rowid > ? AND c.rowid <= ? AND wrong IS NOT NULL ORDER BY c.rowid LIMIT 1
"""

RECEIPTS = """
SELECT r.sha256, CASE
  WHEN e.event IS NOT 'object.proved' OR json_extract(e.line, '$.sha256') IS NOT r.sha256 THEN 'event'
  WHEN json_extract(e.line, '$.store') IS NOT r.store OR json_extract(e.line, '$.place') IS NOT r.place THEN 'store'
  WHEN json_extract(e.line, '$.size') IS NOT r.size_bytes THEN 'size'
  WHEN json_extract(e.line, '$.kind') IS NOT
    CASE r.kind WHEN 1 THEN 'checksum' WHEN 2 THEN 'readback' WHEN 3 THEN 'signed' END THEN 'kind'
  END AS wrong
FROM receipts r LEFT JOIN events e ON e.seq = r.event
WHERE r.rowid > ? AND r.rowid <= ? AND wrong IS NOT NULL ORDER BY r.rowid LIMIT 1
"""

LOSSES = """
SELECT l.sha256, CASE
  WHEN e.event IS NOT 'object.lost_by_store' OR json_extract(e.line, '$.sha256') IS NOT l.sha256 THEN 'event'
  WHEN json_extract(e.line, '$.store') IS NOT l.store OR json_extract(e.line, '$.place') IS NOT l.place THEN 'store'
  END AS wrong
FROM losses l LEFT JOIN events e ON e.seq = l.event
WHERE l.rowid > ? AND l.rowid <= ? AND wrong IS NOT NULL ORDER BY l.rowid LIMIT 1
"""

DECISIONS = """
CREATE TEMP TABLE decisions (
  event TEXT, subject TEXT, seq INTEGER, actor TEXT, reason TEXT, PRIMARY KEY (event, subject, seq)
) WITHOUT ROWID
"""
"""What the log says beside what it says of clips, found in one walk: it has no index by these names."""
DECIDED = """
INSERT INTO temp.decisions SELECT event, coalesce(json_extract(line, '$.camera'), json_extract(line, '$.sha256')), seq,
  json_extract(line, '$.actor'), json_extract(line, '$.reason')
FROM events WHERE event IN ('camera.claimed', 'camera.seized', 'camera.released', 'object.purged',
  'object.hold_restarted')
"""

CAMERAS = """
SELECT c.id, CASE
  WHEN seized.actor IS NOT c.seized_by OR seized.reason IS NOT c.seized_reason THEN 'seizure'
  WHEN claimed.actor IS NOT c.claimed_by THEN 'claim'
  END AS wrong
FROM cameras c
LEFT JOIN temp.decisions claimed ON claimed.event = 'camera.claimed' AND claimed.subject = c.id AND claimed.seq =
  (SELECT max(seq) FROM temp.decisions WHERE event = 'camera.claimed' AND subject = c.id)
LEFT JOIN temp.decisions seized ON seized.event = 'camera.seized' AND seized.subject = c.id AND seized.seq =
  (SELECT max(seq) FROM temp.decisions WHERE event IN ('camera.seized', 'camera.released') AND subject = c.id)
WHERE c.rowid > ? AND c.rowid <= ? AND wrong IS NOT NULL ORDER BY c.rowid LIMIT 1
"""

# Of an absent object with a fault no event needs to tell. A receipt without a clip that waits for it gives a time of
# confirmation as well. The clock is read for the row first and for its event after that: hence a minute.
OBJECTS = """
WITH told AS MATERIALIZED (
  SELECT o.sha256, max(e.seq) FILTER (WHERE e.event = 'clip.spooled') AS spooled,
    max(e.seq) FILTER (WHERE e.event = 'clip.spool_copy_failed') AS failed,
    min(e.seq) FILTER (WHERE e.event = 'clip.confirmed') AS confirmed,
    (SELECT max(seq) FROM temp.decisions WHERE event = 'object.purged' AND subject = o.sha256) AS purged,
    (SELECT max(seq) FROM temp.decisions WHERE event = 'object.hold_restarted' AND subject = o.sha256
      AND seq > o.spooled_event) AS restarted
  FROM objects o LEFT JOIN clips c ON c.sha256 = o.sha256
  LEFT JOIN events e ON e.clip = c.id AND e.seq > o.spooled_event
  WHERE o.rowid > ?1 AND o.rowid <= ?2 GROUP BY o.sha256)
SELECT o.sha256, CASE
  WHEN t.spooled IS NOT o.spooled_event + 1 THEN 'newest copy'
  WHEN (SELECT json_extract(line, '$.size') FROM events WHERE seq = t.spooled) IS NOT o.size_bytes THEN 'size'
  WHEN o.spool = 'present' AND (t.failed IS NOT NULL OR t.purged > t.spooled) THEN 'place'
  WHEN o.spool = 'absent' AND o.fault IS NULL AND coalesce(t.purged, 0) < t.spooled THEN 'place'
  WHEN o.confirmed_us IS NULL AND t.confirmed IS NOT NULL THEN 'time of confirmation'
  WHEN o.confirmed_us IS NOT NULL AND NOT EXISTS
    (SELECT 1 FROM receipts WHERE sha256 = o.sha256 AND event > o.spooled_event) THEN 'time of confirmation'
  WHEN o.confirmed_us + 60000000 < (SELECT strftime('%s', substr(json_extract(line, '$.at'), 1, 19)) * 1000000
    FROM events WHERE seq = coalesce(t.restarted, t.confirmed)) THEN 'time of confirmation'
  END AS wrong
FROM told t JOIN objects o ON o.sha256 = t.sha256
WHERE wrong IS NOT NULL LIMIT 1
"""

# Bytes are compared as long as every sum that was ever made is exact: a camera may claim any size. Nothing is decided
# by them, and the number of clips is always compared.
TALLIES = """
WITH counted AS MATERIALIZED (
  SELECT camera, role, custody, copy, hold IS NOT NULL AS held, count(*) AS clips, total(size_bytes) AS bytes
  FROM clips GROUP BY 1, 2, 3, 4, 5),
exact AS MATERIALIZED (SELECT total(bytes) < 9007199254740992 AS yes FROM counted),
recount AS (SELECT camera, role, custody, copy, held, clips, iif(yes, bytes, 0) FROM counted, exact),
kept AS (
  SELECT camera, role, custody, copy, held, clips, iif(yes, bytes, 0) FROM tallies, exact WHERE clips > 0)
SELECT camera FROM (SELECT * FROM kept EXCEPT SELECT * FROM recount)
UNION ALL SELECT camera FROM (SELECT * FROM recount EXCEPT SELECT * FROM kept)
LIMIT 1
"""
SPOOL_TALLY = """
SELECT objects FROM (
  SELECT count(*) AS objects, total(size_bytes) AS bytes FROM objects WHERE spool = 'present') counted
WHERE NOT EXISTS (
  SELECT 1 FROM spool_tally t WHERE t.objects = counted.objects
  AND (t.bytes = counted.bytes OR (SELECT total(size_bytes) FROM objects) >= 9007199254740992))
"""
CAMERAS_KNOWN = """
SELECT subject FROM temp.decisions
WHERE event LIKE 'camera.%' AND NOT EXISTS (SELECT 1 FROM cameras WHERE id = subject) LIMIT 1
"""
REFERENCES = """SELECT "table" || ', to ' || parent FROM pragma_foreign_key_check LIMIT 1"""
QUEUE = """
SELECT owing, queued, rows FROM (
  SELECT count(*) AS owing, count(u.sha256) AS queued, (SELECT count(*) FROM uploads) AS rows
  FROM owed o LEFT JOIN uploads u ON u.sha256 = o.sha256 AND u.store = o.store AND u.held = o.held)
WHERE owing <> queued OR owing <> rows
"""
PAUSES = """
SELECT nullif(p.store, '') FROM upload_pauses p LEFT JOIN events e ON e.seq = p.event
WHERE e.event IS NOT 'queue.paused' OR json_extract(e.line, '$.store') IS NOT nullif(p.store, '')
  OR json_extract(e.line, '$.actor') IS NOT p.actor OR json_extract(e.line, '$.reason') IS NOT p.reason LIMIT 1
"""
DERIVED = (
    (CAMERAS_KNOWN, "The custody log tells of a camera that the ledger does not have:"),
    (REFERENCES, "A row points to nothing: in table"),
    (TALLIES, "The tally of clips is wrong for camera"),
    (SPOOL_TALLY, "The tally of the spool is wrong; objects in it are"),
    (PAUSES, "A pause of uploads is not what the custody log says, of store"),
    (QUEUE, "The upload queue does not hold what is owed to the stores; owed are"),
)
