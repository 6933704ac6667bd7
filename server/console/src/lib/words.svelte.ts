// The one catalogue of words, in the language that was chosen here last.

import type { Catalogue, Language, Level, Named, Words } from "./types";

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

  knows(topic: string, key: string): boolean {
    return this.text(topic, key) !== key;
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

/** The words of the desk and of its administration. */
export const d = (key: string, values?: Record<string, string | number>): string =>
  speech.text("desk", key, values);

/** How an event is called: danger and level. */
export const heading = (hazard: string, level: Level): string =>
  t("warnings.heading", { danger: term(`danger.${hazard}`), level: term(`level.${level}.name`) });

/** A name of the server's in words; what has none yet shows as it is. */
export const called = (kind: string, name: string): string =>
  speech.knows("desk", `${kind}.${name}`)
    ? d(`${kind}.${name}`)
    : speech.knows("warning", `${kind}.${name}`)
      ? term(`${kind}.${name}`)
      : name;

/** Every danger that there is a word for. */
export function hazards(): string[] {
  const found = speech.catalogue?.words[speech.language]["warning"];
  const named = typeof found === "object" ? found["hazard"] : undefined;
  return typeof named === "object" ? Object.keys(named) : [];
}
