// Makes choosing places easier: a map, the own position, names found while typing.
const chips = document.getElementById("chips");
const figure = document.getElementById("map");
const search = document.getElementById("search");
const here = document.getElementById("here");
const said = document.getElementById("said");
const room = document.getElementById("places");
const language = document.documentElement.lang.startsWith("zh") ? "zh" : "en";
const WAIT = 250;

function box(id) {
  return [...chips.querySelectorAll("input")].find((one) => one.value === id);
}

function add(id, name) {
  const found = box(id);
  if (found) return found;
  const label = document.createElement("label");
  const input = document.createElement("input");
  Object.assign(input, { type: "checkbox", name: "region", value: id });
  label.className = "chip";
  label.append(input, ` ${name}`);
  chips.append(label);
  return input;
}

function say(text) {
  said.textContent = text;
  said.hidden = !text;
}

function colour() {
  for (const path of figure?.querySelectorAll("path") ?? []) {
    path.classList.toggle("on", Boolean(box(path.dataset.region)?.checked));
  }
}

async function places(query) {
  const answer = await fetch(`/api/v1/places?${new URLSearchParams(query)}`);
  if (!answer.ok) throw new Error(String(answer.status));
  return (await answer.json()).places;
}

function filter(ids) {
  for (const input of chips.querySelectorAll("input")) {
    input.parentElement.hidden = ids !== null && !input.checked && !ids.has(input.value);
  }
}

let timer = 0;
let asked = 0;
async function find() {
  const text = search.value.trim();
  const mine = ++asked;
  if (!text) return filter(null);
  const found = await places({ q: text });
  if (mine !== asked) return; // an older answer than what is typed now
  for (const place of found) add(place.id, place[language]);
  filter(new Set(found.map((place) => place.id)));
}

function locate() {
  say("");
  here.disabled = true;
  navigator.geolocation.getCurrentPosition(
    async ({ coords }) => {
      here.disabled = false;
      try {
        const found = await places({ longitude: coords.longitude, latitude: coords.latitude });
        if (found.length) add(found[0].id, found[0][language]).checked = true;
        else say(room.dataset.none);
      } catch {
        say(room.dataset.failed);
      }
      colour();
    },
    () => {
      here.disabled = false;
      say(room.dataset.failed);
    },
    { timeout: 15_000, maximumAge: 300_000 },
  );
}

if (chips) {
  chips.addEventListener("change", colour);
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => find().catch(() => undefined), WAIT);
  });
  if ("geolocation" in navigator) {
    here.hidden = false;
    here.addEventListener("click", locate);
  }
  figure?.addEventListener("click", ({ target }) => {
    const path = target.closest("path");
    if (!path) return;
    const input = add(path.dataset.region, path.dataset.name);
    input.parentElement.hidden = false;
    input.checked = !input.checked;
    colour();
  });
  if (figure) figure.hidden = false;
  colour();
  const hazards = document.getElementById("hazards");
  const which = [...document.querySelectorAll("input[name=which]")];
  hazards.addEventListener("change", () => {
    which.find((one) => one.value === "some").checked = true;
  });
}
