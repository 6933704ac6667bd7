// The service worker: shows what the bureau pushes, also when no page of it is open.
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("push", (event) => {
  let notice;
  try {
    notice = event.data.json();
  } catch {
    return; // not from us: the browser shows a sentence of its own
  }
  event.waitUntil(
    self.registration.showNotification(notice.title, {
      body: notice.body,
      lang: notice.language === "zh" ? "zh-CN" : notice.language,
      icon: "/static/beacon.svg",
      // The newest notice of a warning takes the place of the one before, and is heard again.
      tag: notice.warning,
      renotify: true,
      requireInteraction: !notice.ends && (notice.level === "red" || notice.level === "orange"),
      data: { link: notice.link || "/" },
    }),
  );
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(open(new URL(event.notification.data.link, self.location.origin)));
});

async function open(url) {
  if (url.origin !== self.location.origin) return;
  const pages = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const page = pages.find((one) => new URL(one.url).pathname === url.pathname);
  if (page) {
    await page.focus();
    if (page.url !== url.href) await page.navigate(url.href);
  } else {
    await self.clients.openWindow(url.href);
  }
}

// Browsers change their subscription now and then; without this, people would fall silent.
self.addEventListener("pushsubscriptionchange", (event) => event.waitUntil(moved(event)));

async function moved(event) {
  const old = event.oldSubscription;
  if (!old) return;
  const subscription =
    event.newSubscription ?? (await self.registration.pushManager.subscribe(old.options));
  await fetch("/api/v1/push/subscriptions", {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ subscription: told(subscription), replaces: old.endpoint }),
  });
}

function told(subscription) {
  const { endpoint, keys } = subscription.toJSON();
  return { endpoint, keys };
}
