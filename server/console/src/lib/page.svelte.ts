// Which page is shown, and what of it: the part of the address behind the #, so that it can be
// linked to. `#now/ID` is an event on the desk, `#administration/audit` a tab.

export const PAGES = ["now", "verification", "administration"] as const;
export type Page = (typeof PAGES)[number];

const WELCOME = "welcome=";

class Pages {
  shown = $state<Page>("now");
  part = $state("");
  /** The one-time link of the first administrator. */
  token = $state("");

  constructor() {
    this.#read();
    addEventListener("hashchange", () => this.#read());
  }

  go(page: Page, part = ""): void {
    location.hash = part ? `${page}/${encodeURIComponent(part)}` : page;
  }

  #read(): void {
    const hash = location.hash.slice(1);
    if (hash.startsWith(WELCOME)) {
      this.token = hash.slice(WELCOME.length);
      // A token that is good for one use stays in no history.
      history.replaceState(null, "", location.pathname);
      return;
    }
    const [name = "", part = ""] = hash.split("/");
    this.shown = PAGES.find((page) => page === name) ?? "now";
    this.part = this.shown === name ? plain(part) : "";
  }
}

function plain(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return "";
  }
}

export const pages = new Pages();
