// Offers notices of this browser on the public page: a button, a place, a level.
const WORKER = "/push.js";
const ROUTE = "/api/v1/push/subscriptions";

export async function offer(room) {
  const language = document.documentElement.lang.startsWith("zh") ? "zh" : "en";
  const answer = await fetch(`/api/v1/push/key?lang=${language}`);
  if (!answer.ok || !("serviceWorker" in navigator)) return; // not offered here
  const { key, words, levels } = await answer.json();
  const worker = await navigator.serviceWorker.register(WORKER, { scope: "/" });
  const form = build(words, levels, language, key, worker);
  room.replaceChildren(form.element);
  room.hidden = false;
  form.show(await worker.pushManager.getSubscription());
}

function build(words, levels, language, key, worker) {
  const element = document.createElement("form");
  element.className = "push";
  const region = choice(words.region, places());
  const lowest = choice(words.lowest, Object.entries(levels));
  const button = document.createElement("button");
  const line = document.createElement("p");
  line.setAttribute("role", "status");
  element.append(region.label, lowest.label, button, line);

  const chosen = document.getElementById("place")?.value;
  if (chosen) region.select.value = chosen;

  function show(subscription) {
    element.dataset.on = String(Boolean(subscription));
    region.label.hidden = lowest.label.hidden = Boolean(subscription);
    button.textContent = subscription ? words.disable : words.enable;
  }

  async function enable() {
    if ((await Notification.requestPermission()) !== "granted") return words.denied;
    const subscription = await worker.pushManager.subscribe({
      userVisibleOnly: true,
      applicationServerKey: bytes(key),
    });
    const { endpoint, keys } = subscription.toJSON();
    const wishes = { regions: [region.select.value], lowest: lowest.select.value, language };
    const answer = await send("POST", { subscription: { endpoint, keys }, ...wishes });
    if (!answer.ok) {
      await subscription.unsubscribe();
      throw new Error(String(answer.status));
    }
    show(subscription);
    return words.done;
  }

  async function disable(subscription) {
    await send("DELETE", { endpoint: subscription.endpoint });
    await subscription.unsubscribe();
    show(null);
    return words.gone;
  }

  element.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    line.textContent = words.waiting;
    try {
      const subscription = await worker.pushManager.getSubscription();
      line.textContent = await (subscription ? disable(subscription) : enable());
    } catch {
      line.textContent = words.failed;
    }
    button.disabled = false;
  });
  return { element, show };
}

function places() {
  const options = [...(document.getElementById("place")?.options ?? [])];
  return options.filter((one) => one.value).map((one) => [one.value, one.textContent]);
}

function choice(text, options) {
  const label = document.createElement("label");
  const select = document.createElement("select");
  for (const [value, name] of options) select.add(new Option(name, value));
  label.append(`${text} `, select);
  return { label, select };
}

function send(method, body) {
  return fetch(ROUTE, {
    method,
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

function bytes(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}
