// The warned places, by their names.

import { feed } from "./feed.svelte";
import type { Named } from "./types";
import { speech } from "./words.svelte";

export type Place = Named & { id: string };

export const places = (): Place[] =>
  (feed.regions?.features ?? []).map((feature) => ({ id: String(feature.id), ...(feature.properties as Named) }));

/** What a place is called; one that is not known any more shows its id. */
export function placeName(id: string): string {
  const found = feed.regions?.features.find((feature) => feature.id === id)?.properties;
  return found ? speech.named(found as Named) : id;
}
