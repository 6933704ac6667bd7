// Keeps the page up to date; without it the page says when it was made.
const EVERY = 30_000;

async function renew() {
  if (document.hidden) return;
  const answer = await fetch(location.href, { cache: "no-cache" });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const main = fresh.querySelector("main");
  if (main) document.querySelector("main").replaceWith(main);
}

setInterval(() => renew().catch(() => undefined), EVERY);
document.addEventListener("visibilitychange", () => renew().catch(() => undefined));
