// Which page is shown: the part of the address behind the #, so that it can be linked to.

export const PAGES = ["now", "verification"] as const;
export type Page = (typeof PAGES)[number];

class Pages {
  shown = $state<Page>("now");

  constructor() {
    this.#read();
    addEventListener("hashchange", () => this.#read());
  }

  #read(): void {
    const name = location.hash.slice(1);
    this.shown = PAGES.find((page) => page === name) ?? "now";
  }
}

export const pages = new Pages();
