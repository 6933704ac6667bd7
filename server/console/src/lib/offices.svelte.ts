// What other offices have said, looked at now and then.

import { get } from "./api";
import type { OfficeAlert, Offices } from "./types";
import { speech } from "./words.svelte";

const EVERY = 30_000; // ms

class Neighbours {
  found = $state.raw<Offices>({ alerts: [], sources: [] });

  start(): () => void {
    void this.look();
    const timer = setInterval(() => void this.look(), EVERY);
    return () => clearInterval(timer);
  }

  async look(): Promise<void> {
    try {
      this.found = await get<Offices>("/api/v1/offices");
    } catch {
      // What was found stays; a source that is late says so itself, the line is shown as lost elsewhere.
    }
  }

  /** What an alert says in the language of the page, or in the first there is. */
  said(alert: OfficeAlert): OfficeAlert["infos"][number] | undefined {
    return alert.infos.find((info) => info.language.startsWith(speech.language)) ?? alert.infos[0];
  }
}

export const neighbours = new Neighbours();
