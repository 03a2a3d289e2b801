// The kiosk page: shows what the station's stream says, and says plainly when it hears nothing.
// Everything that comes from a camera or a person reaches the page as text, never as markup.

const SILENCE_MS = 40_000; // the station speaks at least every 15 s
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 15_000;

const KINDS = new Map([
  ["take", { kind: "take", icon: "take" }],
  ["take, footage still aboard", { kind: "aboard", icon: "aboard" }],
  ["wait", { kind: "wait", icon: "wait" }],
  ["do not remove", { kind: "stop", icon: "stop" }],
]);
const EMPTY = { kind: "empty", icon: "empty" };

const byId = (id) => document.getElementById(id);
const tiles = new Map(); // bay name → { root, parts, advice }

// ---- words -----------------------------------------------------------------------------------------------

// Control and direction characters could make one text look like another.
const plain = (value) => String(value ?? "").replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}]/gu, "\uFFFD");

const UNITS = [["GB", 1e9], ["MB", 1e6], ["kB", 1e3], ["bytes", 1]];

function unitFor(bytes) {
  return UNITS.find(([, size]) => bytes >= size) ?? UNITS.at(-1);
}

function inUnit(bytes, [name, size]) {
  const value = bytes / size;
  return name === "bytes" || value >= 100 ? Math.round(value).toString() : value.toFixed(1);
}

function amount(done, total) {
  const unit = unitFor(total);
  return done >= total ? `${inUnit(total, unit)} ${unit[0]}` : `${inUnit(done, unit)} of ${inUnit(total, unit)} ${unit[0]}`;
}

function size(bytes) {
  const unit = unitFor(bytes);
  return `${inUnit(bytes, unit)} ${unit[0]}`;
}

function timeLeft(seconds) {
  if (seconds < 60) return "less than a minute left";
  const minutes = Math.round(seconds / 60);
  return minutes < 100 ? `${minutes} min left` : `${Math.round(minutes / 60)} h left`;
}

function progressWords(bay) {
  if (!bay.total_bytes) return "";
  const words = [amount(bay.done_bytes, bay.total_bytes)];
  if (bay.advice === "wait" && bay.rate_bytes_s) words.push(`${size(bay.rate_bytes_s)}/s`);
  if (bay.advice === "wait" && bay.until_s !== null && bay.until_s !== undefined) words.push(timeLeft(bay.until_s));
  return words.join(" · ");
}

function countWords(bay) {
  if (!bay.clips) return "";
  const { listed, spooled, confirmed, quarantined } = bay.clips;
  const aboard = listed + spooled + confirmed + quarantined;
  if (!aboard) return bay.advice === "take" ? "nothing aboard" : ""; // before the listing nobody knows
  const words = [
    `${aboard} aboard`,
    `${spooled + confirmed} copied`,
    `${confirmed} confirmed`,
  ];
  if (quarantined) words.push(`${quarantined} quarantined`);
  return words.join(" · ");
}

function cameraWords(bay) {
  const words = [bay.camera ? `Camera ${plain(bay.camera)}` : ""];
  if (typeof bay.battery_percent === "number") words.push(`battery ${bay.battery_percent} %`);
  return words.filter(Boolean).join(" · ");
}

// ---- tiles -----------------------------------------------------------------------------------------------

function makeTile() {
  const root = byId("tile").content.firstElementChild.cloneNode(true);
  const parts = Object.fromEntries([...root.querySelectorAll("[data-is]")].map((part) => [part.dataset.is, part]));
  return { root, parts, advice: undefined };
}

function say(part, text) {
  if (part.textContent !== text) part.textContent = text;
  return part;
}

function fillTile(tile, bay) {
  const { kind, icon } = bay.advice ? (KINDS.get(bay.advice) ?? EMPTY) : EMPTY;
  const { root, parts } = tile;
  root.dataset.kind = kind;
  root.querySelector(".band use").setAttribute("href", `#icon-${icon}`);
  say(parts.bay, plain(bay.bay));
  say(parts.advice, bay.advice ? plain(bay.advice) : "empty");
  say(parts.reason, bay.advice ? plain(bay.reason) : "");
  say(parts.amount, bay.occupied ? progressWords(bay) : "");
  say(parts.counts, bay.occupied ? countWords(bay) : "");
  say(parts.camera, cameraWords(bay));
  say(parts.problem, bay.problem && !String(bay.reason).includes(bay.problem) ? plain(bay.problem) : "");
  say(parts.seized, bay.seized ? `Seized: ${plain(bay.seized)}` : "");
  root.querySelector(".seized").hidden = !bay.seized;
  const bar = root.querySelector("progress");
  bar.hidden = kind !== "wait" || !bay.total_bytes;
  if (!bar.hidden) {
    bar.max = bay.total_bytes;
    bar.value = bay.done_bytes;
    bar.setAttribute("aria-label", `Bay ${plain(bay.bay)}, copied`);
  }
}

// Each change of advice is told to those who listen rather than look; the first view is not a change.
function showBays(bays) {
  const grid = byId("bays");
  const names = new Set(bays.map((bay) => bay.bay));
  for (const [name, tile] of tiles) {
    if (!names.has(name)) {
      tile.root.remove();
      tiles.delete(name);
    }
  }
  byId("none").hidden = bays.length > 0;
  const news = [];
  bays.forEach((bay, index) => {
    const tile = tiles.get(bay.bay) ?? makeTile();
    tiles.set(bay.bay, tile);
    const advice = bay.advice ?? "empty";
    if (tile.advice !== undefined && tile.advice !== advice) news.push(`Bay ${plain(bay.bay)}: ${plain(advice)}.`);
    tile.advice = advice;
    fillTile(tile, bay);
    if (grid.children[index] !== tile.root) grid.insertBefore(tile.root, grid.children[index] ?? null);
  });
  if (news.length) say(byId("spoken"), news.join(" "));
  layOut();
}

// The grid whose tiles come closest to a card's shape; narrow screens scroll instead.
function layOut() {
  const grid = byId("bays");
  const count = grid.children.length || 1;
  const { clientWidth: width, clientHeight: height } = grid;
  let best = { columns: 1, misfit: Infinity };
  for (let columns = 1; columns <= count; columns += 1) {
    const shape = width / columns / (height / Math.ceil(count / columns));
    const empty = columns * Math.ceil(count / columns) - count;
    const misfit = Math.abs(Math.log(shape / 1.6)) + empty / count;
    if (misfit < best.misfit) best = { columns, misfit };
  }
  grid.style.setProperty("--columns", best.columns);
}

// ---- header ----------------------------------------------------------------------------------------------

function listItem(kind, text) {
  const item = document.createElement("li");
  item.className = kind;
  item.textContent = text;
  return item;
}

function replaceList(id, items) {
  const list = byId(id);
  if ([...list.children].map((item) => item.className + item.textContent).join("\n")
      !== items.map((item) => item.className + item.textContent).join("\n")) list.replaceChildren(...items);
  list.hidden = !items.length;
}

// Nothing is said of a line that is free and stays so.
function limitWords(bandwidth) {
  if (!bandwidth || (bandwidth.limit_bits_s === null && bandwidth.until === null)) return "";
  return plain(bandwidth.shown);
}

function storeWords(store) {
  const counts = store.counts === false ? ", does not count" : "";
  const limit = limitWords(store.bandwidth);
  const slowed = store.yielding ? `, ${plain(store.yielding.shown)}` : "";
  const more = (limit ? `${counts}, ${limit}` : counts) + slowed;
  if (store.paused) return listItem("store bad", `store ${plain(store.name)}: uploads paused${counts}`);
  return listItem(
    store.ok ? "store good" : "store bad",
    store.ok ? `store ${plain(store.name)}: ok${more}` : `store ${plain(store.name)}: trouble${more}`,
  );
}

function notices(station) {
  const found = (station.stores ?? [])
    .filter((store) => !store.ok)
    .map((store) => `Store ${plain(store.name)}: ${plain(store.problem ?? "the last try failed")} Footage stays safe in the spool.`);
  const { free_bytes: free, reserve_bytes: reserve } = station.spool ?? {};
  if (free <= reserve) found.push("The spool is full: cameras wait until uploads have made room.");
  found.push(...(station.notices ?? []).map(plain));
  return found.map((text) => listItem("notice", text));
}

function showStation(station, bays) {
  if (station.version && document.body.dataset.version !== String(station.version)) location.reload();
  say(byId("station"), plain(station.station));
  byId("trial").hidden = !station.trial;
  say(byId("wiping"), `wiping is ${station.wiping ? "on" : "off"}`);
  const limit = limitWords(station.bandwidth);
  byId("bandwidth").hidden = !limit;
  say(byId("bandwidth"), limit ? `uploads: ${limit}` : "");
  replaceList("stores", (station.stores ?? []).map(storeWords));
  replaceList("notices", notices(station));
  const count = (...advices) => bays.filter((bay) => advices.includes(bay.advice ?? "empty")).length;
  const words = [
    `${count("take")} to take`,
    `${count("take, footage still aboard")} with footage aboard`,
    `${count("wait", "do not remove")} busy`,
    `${count("empty")} empty`,
  ];
  say(byId("summary"), words.join(" · "));
}

// ---- stream ----------------------------------------------------------------------------------------------

let heardAt = null; // when the state on the screen was last known to be true

function showConnection(lost) {
  const line = byId("connection");
  document.body.classList.toggle("stale", lost);
  line.hidden = !lost;
  if (!lost) return;
  const since = heardAt?.toLocaleTimeString("en-GB");
  say(line, since ? `Connection lost, showing the state of ${since}` : "No connection to the station yet");
}

function show(message) {
  let name = "message";
  const data = [];
  for (const line of message.split("\n")) {
    if (line.startsWith("event: ")) name = line.slice(7);
    if (line.startsWith("data: ")) data.push(line.slice(6));
  }
  if (name !== "view") return;
  const view = JSON.parse(data.join("\n"));
  showStation(view.station, view.bays);
  showBays(view.bays);
}

// EventSource hides heartbeats; reading the stream here shows when a station that hangs has gone silent.
async function listen() {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  try {
    const response = await fetch("/api/v1/stream", { signal: silence.signal, cache: "no-store" });
    if (!response.ok) return;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let pending = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
      const messages = (pending + value).split("\n\n");
      pending = messages.pop();
      messages.forEach(show);
      if (messages.length) {
        heardAt = new Date();
        pauseMs = FIRST_PAUSE_MS;
        showConnection(false);
      }
    }
  } finally {
    clearTimeout(timer);
  }
}

let pauseMs = FIRST_PAUSE_MS;

async function follow() {
  for (;;) {
    try {
      await listen();
    } catch (error) {
      console.info("The stream ended:", error.message);
    }
    showConnection(true);
    await new Promise((wake) => { setTimeout(wake, pauseMs * (0.75 + Math.random() / 2)); });
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
  }
}

new ResizeObserver(layOut).observe(byId("bays"));
follow();
