// What is being written: the fields of a draft, and of an update of what is in force.

import { drawing, type Corner } from "./drawing.svelte";
import { feed } from "./feed.svelte";
import { instant, isMoment, local } from "./format";
import { LEVELS } from "./levels";
import type { Incident, Language, Level, Own } from "./types";

export const LANGUAGES: readonly Language[] = ["zh", "en"];

export const WORDED: readonly (keyof Own)[] = ["sms", "headline", "description", "instruction"];

/** Acts that say something new: what was set for what is said now does not go on. */
const ANEW = new Set(["upgrade", "downgrade", "submit"]);

class Draft {
  hazard = $state("rainstorm");
  region = $state("");
  level = $state<Level>("yellow");
  exercise = $state(false);
  onset = $state(""); // local, as the input holds it
  expires = $state("");
  text = $state<Record<Language, Own>>({ zh: blank(), en: blank() });
  note = $state("");
  #incident: Incident | null = null;

  /** Begin from nothing, or from the event as it stands. */
  open(act: string, incident: Incident | null, level?: Level): void {
    this.#incident = incident;
    this.hazard = incident?.hazard ?? this.hazard;
    this.region = incident?.region.id ?? this.region;
    this.level = level ?? neighbour(act, incident?.level ?? "yellow");
    this.exercise = incident?.exercise ?? feed.clock?.event != null;
    this.onset = this.#before("onset");
    this.expires = this.#before("until");
    const kept = ANEW.has(act) ? null : incident?.text;
    this.text = { zh: { ...blank(), ...kept?.zh }, en: { ...blank(), ...kept?.en } };
    this.note = "";
    drawing.open((incident?.area?.coordinates[0] as Corner[] | undefined) ?? null);
  }

  /** Whether the times can be read; an empty one means the usual. */
  get right(): boolean {
    return [this.onset, this.expires].every((text) => text.trim() === "" || isMoment(text));
  }

  /** So many hours from now, or from the onset where that is later. */
  last(hours: number): void {
    const onset = isMoment(this.onset) ? Date.parse(instant(this.onset)) / 1000 : 0;
    this.expires = local(Math.max(feed.now, onset) + hours * 3600);
  }

  /** What the server is asked to take; what nobody changed is left out. */
  content(act: string): Record<string, unknown> {
    const before = this.#incident;
    const made: Record<string, unknown> = {};
    if (!before) Object.assign(made, { hazard: this.hazard, region: this.region, exercise: this.exercise });
    if (!before || act !== "update") made["level"] = this.level;
    if (act !== "submit") {
      if (this.onset !== this.#before("onset")) made["onset"] = this.onset.trim() ? instant(this.onset) : null;
      if (this.expires !== this.#before("until")) made["expires"] = this.expires.trim() ? instant(this.expires) : null;
      const own = this.#own();
      if (Object.keys(own).length || (!ANEW.has(act) && Object.keys(before?.text ?? {}).length)) made["text"] = own;
      const ring = drawing.ring;
      if (ring || before?.area) made["area"] = ring ? { type: "Polygon", coordinates: [ring] } : null;
    }
    if (this.note.trim()) made["note"] = this.note.trim();
    return made;
  }

  #before(name: "onset" | "until"): string {
    const moment = this.#incident?.[name];
    return moment ? local(moment) : "";
  }

  #own(): Partial<Record<Language, Partial<Own>>> {
    const own: Partial<Record<Language, Partial<Own>>> = {};
    for (const language of LANGUAGES) {
      const said = WORDED.map((field) => [field, this.text[language][field].trim()] as const).filter(([, text]) => text);
      if (said.length) own[language] = Object.fromEntries(said);
    }
    return own;
  }
}

function blank(): Own {
  return { headline: "", description: "", instruction: "", sms: "" };
}

/** The level next to one: what an upgrade or a downgrade most likely means. */
function neighbour(act: string, level: Level): Level {
  const step = act === "upgrade" || act === "submit" ? 1 : act === "downgrade" ? -1 : 0;
  return LEVELS[LEVELS.indexOf(level) + step] ?? level;
}

/** The levels that an act may lead to. */
export function open(act: string, level: Level | undefined): Level[] {
  const at = level ? LEVELS.indexOf(level) : -1;
  if (act === "upgrade") return LEVELS.slice(at + 1);
  if (act === "downgrade") return LEVELS.slice(0, at);
  if (act === "update" && level) return [level];
  if (act === "submit") return LEVELS.filter((name) => name !== level);
  return [...LEVELS];
}

export const draft = new Draft();
