// A display screen. It asks every few seconds, says what it shows, and needs nobody to look after it:
// what is over disappears by its own clock, and a line that is cut is told, not hidden.
const { name, zone, lost, page, nothing } = document.body.dataset;
const key = new URLSearchParams(location.search).get("key") ?? "";
const EVERY = 10_000;
const PATIENCE = 8_000;
const TURN = 9_000; // one warning after the other, so long
const SHAPES = {
  circle: "M16 1.5a14.5 14.5 0 1 0 .01 0z",
  diamond: "M16 .4 31.6 16 16 31.6.4 16z",
  hexagon: "M16 1 29 8.5v15L16 31 3 23.5v-15z",
  octagon: "M10.3 2.1h11.4l8.2 8.2v11.4l-8.2 8.2H10.3l-8.2-8.2V10.3z",
};
const MARKS = { blue: "IV", yellow: "III", orange: "II", red: "I" };
const main = document.querySelector("main");
const line = document.getElementById("line");
const lang = document.documentElement.lang;
let show = null; // what the centre last said
let ahead = 0; // of our clock, as the centre's goes: in an exercise it is the event's
let heard = new Date();
let turn = 0;
let drawn = ""; // what stands on the screen
let asking = false;

function time(date, options = { hour: "2-digit", minute: "2-digit" }) {
  return new Intl.DateTimeFormat(lang, { ...options, hourCycle: "h23", timeZone: zone }).format(date);
}

function current() {
  const now = Date.now() + ahead;
  return (show?.warnings ?? []).filter((item) => new Date(item.expires) > now);
}

async function beat() {
  if (asking) return;
  asking = true;
  try {
    const answer = await fetch(`/display/${name}/beat`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ key, shown: drawn ? current().map((item) => item.message) : [] }),
      signal: AbortSignal.timeout(PATIENCE),
    });
    if (answer.status === 403) return location.reload();
    if (!answer.ok) throw new Error(String(answer.status));
    const before = JSON.stringify(show?.warnings);
    show = await answer.json();
    ahead = new Date(show.made) - Date.now();
    heard = new Date();
    line.textContent = "";
    line.className = "";
    if (JSON.stringify(show.warnings) !== before) {
      turn = 0;
      draw();
      asking = false;
      return beat(); // say at once what it shows now
    }
    draw();
  } catch {
    line.textContent = lost.replace("{time}", time(heard));
    line.className = "lost";
  } finally {
    asking = false;
  }
}

function part(parent, tag, text, kind = "") {
  const node = document.createElement(tag);
  node.textContent = text;
  node.className = kind;
  parent.append(node);
  return node;
}

function sign(item) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 32 32");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", SHAPES[item.shape]);
  const mark = document.createElementNS(space, "text");
  mark.setAttribute("x", "16");
  mark.setAttribute("y", "20.4");
  mark.setAttribute("text-anchor", "middle");
  mark.textContent = MARKS[item.level];
  svg.append(path, mark);
  return svg;
}

function draw() {
  if (!show) return lapse();
  const items = current();
  const item = items[turn % Math.max(items.length, 1)];
  const wanted = item ? `${item.message} ${items.length} ${turn % items.length}` : "nothing";
  if (wanted === drawn) return;
  drawn = wanted;
  const section = document.createElement("section");
  if (item) {
    section.className = item.level;
    section.dataset.message = item.message;
    const head = part(section, "header", "");
    head.append(sign(item));
    const titles = part(head, "div", "");
    part(titles, "h1", item.title);
    part(titles, "p", item.place, "place");
    part(section, "p", item.guide, "guide");
    part(section, "p", item.lines.at(-1), "until");
  } else {
    section.className = "calm";
    part(section, "p", show.nothing);
  }
  main.replaceChildren(section);
  fit(section);
  document.getElementById("page").textContent =
    items.length > 1 ? page.replace("{n}", (turn % items.length) + 1).replace("{total}", items.length) : "";
}

// As large as it goes: screens are small and wide, or large and tall.
function fit(section) {
  let low = 6;
  let high = Math.max(innerHeight, innerWidth);
  for (let round = 0; round < 10 && high - low > 1; round += 1) {
    const size = (low + high) / 2;
    section.style.fontSize = `${size}px`;
    const room = section.scrollHeight <= main.clientHeight && section.scrollWidth <= main.clientWidth;
    if (room) low = size;
    else high = size;
  }
  section.style.fontSize = `${low}px`;
}

// What the server drew leaves in time as well, should no answer ever come.
function lapse() {
  for (const section of main.querySelectorAll("[data-expires]")) {
    if (new Date(section.dataset.expires) <= Date.now()) section.remove();
  }
  if (!main.children.length) part(part(main, "section", "", "calm"), "p", nothing);
}

function tick() {
  document.getElementById("clock").textContent = time(new Date(Date.now() + ahead));
  draw();
}

beat();
setInterval(beat, EVERY);
setInterval(tick, 1_000);
setInterval(() => {
  turn += 1;
  draw();
}, TURN);
addEventListener("resize", () => {
  drawn = "";
  draw();
});
const stream = new EventSource("/pulse");
stream.addEventListener("change", () => setTimeout(beat, Math.random() * 1_000));
