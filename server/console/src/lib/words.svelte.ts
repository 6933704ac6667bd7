// The one catalogue of words, in the language that was chosen here last.

import type { Catalogue, Language, Named, Words } from "./types";

const KEY = "fenghuo.language";

class Speech {
  language = $state<Language>("zh");
  catalogue = $state.raw<Catalogue | null>(null);

  constructor() {
    const kept = localStorage.getItem(KEY);
    const wanted = kept ?? navigator.language.slice(0, 2);
    this.language = wanted === "zh" ? "zh" : "en";
    this.#tell();
  }

  switch(): void {
    this.language = this.language === "zh" ? "en" : "zh";
    localStorage.setItem(KEY, this.language);
    this.#tell();
  }

  /** Give the text of a key of a topic; a key that is missing shows itself. */
  text(topic: string, key: string, values: Record<string, string | number> = {}): string {
    let found: string | Words | undefined = this.catalogue?.words[this.language][topic];
    for (const part of key.split(".")) found = typeof found === "object" ? found[part] : undefined;
    if (typeof found !== "string") return this.catalogue ? key : "";
    return found.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ""));
  }

  named(thing: Named): string {
    return thing[this.language] || thing.zh || thing.en;
  }

  get zone(): string {
    return this.catalogue?.zone ?? "UTC";
  }

  #tell(): void {
    document.documentElement.lang = this.language === "zh" ? "zh-CN" : "en";
  }
}

export const speech = new Speech();

/** The console's own words. */
export const t = (key: string, values?: Record<string, string | number>): string =>
  speech.text("console", key, values);

/** The terms of warnings, the same as in every message. */
export const term = (key: string): string => speech.text("warning", key);
