// What the console knows, kept up to date by the server's stream.

import { get } from "./api";
import { seconds } from "./format";
import { LEVELS } from "./levels";
import type {
  Catalogue,
  Clock,
  Element,
  Message,
  Phone,
  Readings,
  Row,
  Snapshot,
  Station,
  Warning,
} from "./types";
import { speech } from "./words.svelte";

const QUIET = 20_000; // ms without any event after which the connection is taken for dead
const KEPT = 200; // messages of the phone that stay in memory

export type Link = "connecting" | "live" | "lost";
export type Notice = { message: Message; warning: Warning };
type Listener = (names: Iterable<string>) => void;

class Feed {
  elements = $state.raw<Map<string, Element>>(new Map());
  stations = $state.raw<Map<string, Station>>(new Map());
  regions = $state.raw<GeoJSON.FeatureCollection | null>(null);
  warnings = $state.raw<Map<string, Warning>>(new Map());
  phone = $state.raw<Phone[]>([]);
  clock = $state.raw<Clock | null>(null);
  link = $state<Link>("connecting");
  lost = $state(0); // s since the epoch: when the connection broke
  newest = $state(0); // s since the epoch: time of the newest reading of all
  problem = $state("");
  ready = $state(false);
  notice = $state.raw<Notice | null>(null);
  now = $state(0); // s since the epoch: the event's clock, or the real one

  /** Newest values by station; read it in the listener or after `tick` changed. */
  readonly readings = new Map<string, Row>();
  fields: string[] = [];
  tick = $state(0);

  #listeners = new Set<Listener>();
  #source: EventSource | null = null;
  #last = "";
  #heard = 0;
  #offset = 0; // s that the server's clock is ahead of ours
  #touched = new Set<string>();
  #frame = 0;

  async start(): Promise<void> {
    for (;;) {
      try {
        await this.#load();
        break;
      } catch (error) {
        this.problem = error instanceof Error ? error.message : String(error);
        await new Promise((resolve) => setTimeout(resolve, 2000));
      }
    }
    this.problem = "";
    this.#open();
    setInterval(() => this.#look(), 1000);
  }

  /** Be told, at most once a frame, which stations have new values. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  value(station: string, field: string): number | null {
    return this.readings.get(station)?.[this.fields.indexOf(field)] ?? null;
  }

  /** Seconds by which a station's newest reading is overdue; 0 while it is not, null before any. */
  silence(station: string): number | null {
    const last = this.value(station, "time");
    if (last === null) return null;
    const span = this.now - last;
    const interval = this.value(station, "interval") ?? 60;
    return span > 2.5 * interval + 300 ? span : 0;
  }

  ordered(running: boolean): Warning[] {
    const rank = (warning: Warning) => LEVELS.indexOf(warning.level);
    return [...this.warnings.values()]
      .filter((warning) => (warning.ended === null) === running)
      .sort((a, b) =>
        running
          ? rank(b) - rank(a) || b.since.localeCompare(a.since)
          : (b.ended ?? "").localeCompare(a.ended ?? ""),
      );
  }

  async #load(): Promise<void> {
    const [catalogue, elements] = await Promise.all([
      get<Catalogue>("/api/v1/catalogue"),
      get<{ elements: Element[] }>("/api/v1/elements"),
    ]);
    speech.catalogue = catalogue;
    this.elements = new Map(elements.elements.map((element) => [element.name, element]));
    await this.#places();
    this.ready = true;
  }

  async #places(): Promise<void> {
    const [stations, regions] = await Promise.all([
      get<{ stations: Station[] }>("/api/v1/stations"),
      get<GeoJSON.FeatureCollection>("/api/v1/regions"),
    ]);
    this.stations = new Map(stations.stations.map((station) => [station.name, station]));
    this.regions = regions;
  }

  #open(): void {
    this.#source?.close();
    const source = new EventSource(this.#last ? `/stream?last=${this.#last}` : "/stream");
    this.#source = source;
    this.#heard = Date.now();
    source.onerror = () => this.#broke();
    this.#on<Snapshot>(source, "snapshot", (data) => this.#begin(data));
    this.#on<Readings>(source, "reading", (data) => this.#read(data));
    this.#on<Notice>(source, "warning", (data) => this.#warn(data));
    this.#on<{ warnings: Warning[] }>(source, "state", (data) => this.#put(data.warnings));
    this.#on<{ messages: Phone[] }>(source, "phone", (data) => this.#ring(data.messages));
    this.#on<Clock>(source, "clock", (data) => this.#time(data));
    this.#on<unknown>(source, "vitals", () => undefined);
  }

  #on<T>(source: EventSource, name: string, act: (data: T) => void): void {
    source.addEventListener(name, (event: MessageEvent<string>) => {
      if (source !== this.#source) return;
      this.#heard = Date.now();
      this.link = "live";
      if (event.lastEventId) this.#last = event.lastEventId;
      act(JSON.parse(event.data) as T);
    });
  }

  #broke(): void {
    if (this.link !== "lost") this.lost = Date.now() / 1000;
    this.link = "lost";
    if (this.#source?.readyState === EventSource.CLOSED) {
      // The browser gave up; come back at a moment of one's own, not with all others.
      this.#source = null;
      setTimeout(() => this.#open(), 1000 + Math.random() * 2000);
    }
  }

  #look(): void {
    if (this.#source && Date.now() - this.#heard > QUIET) {
      this.#broke();
      this.#open();
    }
    if (this.clock && !this.clock.event) this.now = Date.now() / 1000 + this.#offset;
  }

  #begin(data: Snapshot): void {
    this.#time(data.clock);
    const known = new Set(data.warnings.map((warning) => warning.id));
    // What runs here but not there ended while the connection was away.
    const kept = [...this.warnings.values()].filter((w) => w.ended !== null && !known.has(w.id));
    this.warnings = new Map([...kept, ...data.warnings].map((warning) => [warning.id, warning]));
    this.phone = data.phone;
    this.#read(data.readings);
  }

  #read(data: Readings): void {
    this.fields = data.fields;
    let unknown = false;
    const at = data.fields.indexOf("time");
    for (const [name, row] of Object.entries(data.stations)) {
      this.readings.set(name, row);
      this.#touched.add(name);
      this.newest = Math.max(this.newest, row[at] ?? 0);
      unknown ||= !this.stations.has(name);
    }
    if (unknown) void this.#places();
    if (!this.#frame) this.#frame = requestAnimationFrame(() => this.#flush());
  }

  #flush(): void {
    this.#frame = 0;
    const names = this.#touched;
    this.#touched = new Set();
    for (const listener of this.#listeners) listener(names);
    this.tick += 1;
  }

  #warn(data: Notice): void {
    this.#put([data.warning]);
    this.notice = data;
    if (this.regions && !this.regions.features.some((f) => f.id === data.warning.region.id))
      void this.#places();
  }

  #put(warnings: Warning[]): void {
    const next = new Map(this.warnings);
    for (const warning of warnings) next.set(warning.id, warning);
    this.warnings = next;
  }

  #ring(messages: Phone[]): void {
    const fresh = new Map(this.phone.map((message) => [message.id, message]));
    for (const message of messages) fresh.set(message.id, message);
    this.phone = [...fresh.values()].sort((a, b) => a.sent.localeCompare(b.sent)).slice(-KEPT);
  }

  #time(clock: Clock): void {
    this.clock = clock;
    this.now = seconds(clock.event ? clock.event.time : clock.now);
    this.#offset = seconds(clock.now) - Date.now() / 1000;
  }
}

export const feed = new Feed();
