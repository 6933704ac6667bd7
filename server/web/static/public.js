// Keeps the page up to date. Without it the page says when it was made; with it, what has ended
// leaves at once: when the centre says so, and by the page's own clock when it cannot.
const EVERY = 60_000;
const SPREAD = 1_000; // so that not every page in town asks in the same instant
const now = () => document.getElementById("now");
const main = document.querySelector("main");
let asked = new Date();
let waiting = 0;
let offset = ahead(); // in an exercise the centre's time is the event's

function ahead() {
  return new Date(now().dataset.now) - Date.now();
}

async function renew() {
  const answer = await fetch(location.href, { cache: "no-cache" });
  if (!answer.ok) throw new Error(String(answer.status));
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const part = fresh.getElementById("now");
  if (!part) throw new Error("no page");
  asked = new Date();
  now().replaceWith(document.adoptNode(part));
  offset = ahead();
  lapse();
}

function soon() {
  if (waiting) return;
  waiting = setTimeout(() => {
    waiting = 0;
    renew().catch(lost);
  }, Math.random() * SPREAD);
}

function lost() {
  const line = document.getElementById("line");
  if (!line) return;
  const time = asked.toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit" });
  line.textContent = main.dataset.lost.replace("{time}", time);
  line.hidden = false;
}

// What does not count any more leaves, even when nobody can be asked.
function lapse() {
  const list = document.querySelector("ul.warnings");
  if (!list) return;
  for (const card of [...list.children]) {
    if (new Date(card.dataset.expires) <= Date.now() + offset) card.remove();
  }
  if (!list.children.length) {
    document.querySelector(".count")?.remove();
    const none = document.createElement("p");
    none.className = "none";
    none.textContent = main.dataset.none;
    list.replaceWith(none);
  }
}

const stream = new EventSource("/pulse");
let serial = 0;
stream.addEventListener("change", (event) => {
  const number = JSON.parse(event.data).serial;
  if (serial !== number) soon();
  serial = number;
});
stream.addEventListener("error", () => setTimeout(() => stream.readyState !== 1 && renew().catch(lost), 3_000));
setInterval(() => !document.hidden && renew().catch(lost), EVERY);
setInterval(lapse, 1_000);
document.addEventListener("visibilitychange", () => !document.hidden && soon());

const place = document.getElementById("place");
if (place) {
  place.form.querySelector("button").hidden = true;
  place.addEventListener("change", () => place.form.requestSubmit());
}

// Notices of this browser, where the centre offers them.
const push = document.getElementById("push");
if (push && "PushManager" in window) {
  import("/static/subscribe-push.js").then((it) => it.offer?.(push), () => undefined);
}
