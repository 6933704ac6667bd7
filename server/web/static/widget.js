// Weather warnings on somebody else's page:
//   <script src="https://…/widget.js" data-region="…" data-lang="zh"></script>
// It stands where the script stands, in a shadow root of its own, and needs nothing else.
(() => {
  const script = document.currentScript;
  const base = new URL(script.src).origin;
  const region = script.dataset.region ?? "";
  const lang = script.dataset.lang === "en" ? "en" : "zh";
  const address = `${base}/widget.json?lang=${lang}&region=${encodeURIComponent(region)}`;
  const EVERY = 60_000;
  const SHAPES = {
    circle: "M16 1.5a14.5 14.5 0 1 0 .01 0z",
    diamond: "M16 .4 31.6 16 16 31.6.4 16z",
    hexagon: "M16 1 29 8.5v15L16 31 3 23.5v-15z",
    octagon: "M10.3 2.1h11.4l8.2 8.2v11.4l-8.2 8.2H10.3l-8.2-8.2V10.3z",
  };
  const MARKS = { blue: "IV", yellow: "III", orange: "II", red: "I" };
  const STYLE = `
    :host { display: block; }
    * { box-sizing: border-box; margin: 0; }
    section { max-width: 420px; padding: 12px 14px; border: 1px solid #c9d2db; border-radius: 10px; background: #fff; color: #16202a; font: 15px/1.45 system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; }
    h2 { font-size: 15px; }
    ul { list-style: none; margin: 8px 0; padding: 0; display: grid; gap: 8px; }
    li { display: flex; gap: 10px; align-items: center; }
    li a { color: inherit; font-weight: 600; }
    small { display: block; color: #4a5866; }
    svg { flex: none; width: 32px; height: 32px; }
    svg text { font: 700 12px Georgia, serif; }
    .mark { display: inline-block; padding: 0 8px; border-radius: 4px; background: #ffd84d; color: #201600; font-weight: 700; }
    .stale { color: #9b0d16; }
    p { margin: 6px 0; }
  `;
  const host = document.createElement("div");
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  root.adoptedStyleSheets = [sheet];
  script.after(host);
  let known = null;
  let heard = null;
  let ahead = 0; // of our clock, as the centre's goes: what is over leaves by that one

  const part = (parent, tag, text = "", kind = "") => {
    const node = document.createElement(tag);
    node.textContent = text;
    if (kind) node.className = kind;
    parent.append(node);
    return node;
  };

  const sign = (item) => {
    const space = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(space, "svg");
    svg.setAttribute("viewBox", "0 0 32 32");
    svg.setAttribute("aria-hidden", "true");
    const path = svg.appendChild(document.createElementNS(space, "path"));
    path.setAttribute("d", SHAPES[item.shape]);
    path.setAttribute("fill", item.colour);
    const mark = svg.appendChild(document.createElementNS(space, "text"));
    mark.setAttribute("x", "16");
    mark.setAttribute("y", "20.4");
    mark.setAttribute("text-anchor", "middle");
    mark.setAttribute("fill", item.ink);
    mark.textContent = MARKS[item.level];
    return svg;
  };

  const time = (text, options) =>
    new Intl.DateTimeFormat(lang === "en" ? "en-GB" : "zh-CN", { ...options, hourCycle: "h23", timeZone: known.zone }).format(new Date(text));
  const WHEN = { month: "numeric", day: "numeric", hour: "2-digit", minute: "2-digit" };

  function draw(lost) {
    const section = document.createElement("section");
    section.lang = lang === "en" ? "en" : "zh-CN";
    if (!known) {
      part(section, "p", lang === "en" ? "Warnings cannot be fetched just now" : "暂时无法取得预警信息", "stale");
      return root.replaceChildren(section);
    }
    const { words, mark } = known;
    part(section, "h2", `${words.title} · ${known.agency}`);
    if (mark) part(section, "p", mark, "mark");
    const items = known.warnings.filter((item) => new Date(item.expires) > Date.now() + ahead);
    if (items.length) {
      const list = part(section, "ul");
      for (const item of items) {
        const entry = part(list, "li");
        entry.append(sign(item));
        const text = part(entry, "div");
        const link = part(text, "a", item.title);
        link.href = `${base}/w/${item.warning}?lang=${lang}`;
        part(text, "small", `${item.place} · ${words.until.replace("{time}", time(item.expires, WHEN))}`);
      }
    } else part(section, "p", words.none);
    if (lost) part(section, "p", words.stale.replace("{time}", time(heard, { hour: "2-digit", minute: "2-digit" })), "stale");
    const more = part(section, "a", words.link);
    more.href = `${base}/?lang=${lang}${region && !region.includes(",") ? `&place=${encodeURIComponent(region)}` : ""}`;
    root.replaceChildren(section);
  }

  async function renew() {
    try {
      const answer = await fetch(address, { cache: "no-cache", credentials: "omit" });
      if (!answer.ok) throw new Error(String(answer.status));
      ahead = (Date.parse(answer.headers.get("fenghuo-time")) || Date.now()) - Date.now();
      known = await answer.json();
      heard = new Date();
      draw(false);
    } catch {
      draw(true);
    }
  }

  renew();
  setInterval(renew, EVERY);
  setInterval(() => known && draw(Date.now() - heard > 2 * EVERY), 5_000);
})();
