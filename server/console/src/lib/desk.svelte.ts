// The forecaster's desk: what waits, the one event that lies on it, and what is done with it.

import { get, post, problem, ProblemError } from "./api";
import { drawing } from "./drawing.svelte";
import { feed } from "./feed.svelte";
import { pages } from "./page.svelte";
import { session } from "./session.svelte";
import type { Deed, Incident, MessageProgress, Silent, Warning } from "./types";

const EVERY = 5_000; // ms between two looks at what waits
const SOON = 2_000; // the same for what lies on the desk

/** Acts that change what is said, and so begin with a form. */
export const WRITTEN = new Set(["draft", "edit", "update", "upgrade", "downgrade"]);
/** Acts after which people hear something. */
export const HEARD = new Set(["approve", "update", "upgrade", "downgrade", "cancel", "notice"]);

export const NEW = "new";

class Desk {
  waiting = $state.raw<Incident[]>([]);
  /** Exercises in force that somebody wrote by hand. */
  exercises = $state.raw<Warning[]>([]);
  incident = $state.raw<Incident | null>(null);
  deeds = $state.raw<Deed[]>([]);
  progress = $state.raw<MessageProgress[]>([]);
  silent = $state.raw<Silent[]>([]);
  /** The act whose form is open; NEW for a draft from scratch. */
  form = $state("");
  working = $state(false);
  refusal = $state.raw<ProblemError | null>(null);
  /** What somebody else did in the meantime, after a 409. */
  overtaken = $state.raw<Deed[] | null>(null);
  /** The act that waits to be confirmed. */
  armed = $state("");
  /** The version of the event that the form, or the question, was made from. */
  #seen = 0;
  /** What was done last, for the ear of a screen reader and for the eye. */
  done = $state("");

  /** Id of the event on the desk, NEW, or empty. */
  get chosen(): string {
    return pages.shown === "now" ? pages.part : "";
  }

  start(): () => void {
    void this.look();
    const timers = [setInterval(() => void this.look(), EVERY), setInterval(() => void this.follow(), SOON)];
    return () => timers.forEach((timer) => clearInterval(timer));
  }

  open(id: string): void {
    pages.go("now", id);
  }

  /** Put an event on the desk, or away when it lies there. */
  toggle(id: string): void {
    if (this.chosen === id) this.shut();
    else this.open(id);
  }

  shut(): void {
    pages.go("now");
  }

  /** Put another event on the desk, or none. */
  lay(id: string): void {
    this.incident = id && id !== NEW ? (this.#known(id) ?? null) : null;
    this.deeds = [];
    this.progress = [];
    this.silent = [];
    this.refusal = null;
    this.overtaken = null;
    this.done = "";
    this.write(id === NEW ? NEW : "");
    void this.follow();
  }

  write(act: string): void {
    this.form = act;
    this.armed = "";
    this.refusal = null;
    this.#seen = this.incident?.version ?? 0;
    if (!act) drawing.open(null);
  }

  /** Ask whether an act is meant. */
  arm(act: string): void {
    this.armed = act;
    if (!this.form) this.#seen = this.incident?.version ?? 0;
  }

  async look(): Promise<void> {
    try {
      this.waiting = (await get<{ proposals: Incident[] }>("/api/v1/proposals")).proposals;
      // In a real centre the stream, which is everybody's, tells nothing of an exercise.
      const apart = session.person !== null && feed.clock !== null && feed.clock.event === null;
      const running = apart ? (await get<{ warnings: Warning[] }>("/api/v1/warnings?state=running")).warnings : [];
      this.exercises = running.filter((warning) => warning.exercise);
    } catch {
      // The line is shown as lost elsewhere; the next look tries again.
    }
  }

  /** Read what lies on the desk anew. */
  async follow(): Promise<void> {
    const id = this.chosen;
    if (!id || id === NEW) return;
    if (!session.person) {
      // What nobody has heard of yet, and what was done with it, only those who sit here may ask for.
      this.incident = this.#known(id) ?? this.incident;
      return;
    }
    const path = `/api/v1/warnings/${encodeURIComponent(id)}`;
    const said = this.incident?.messages?.length || this.incident?.notices?.length || this.incident?.state === "issued";
    const [incident, deeds, progress, silent] = await Promise.all([
      get<Incident>(path).catch(() => undefined),
      get<{ acts: Deed[] }>(`${path}/acts`).catch(() => null),
      said ? get<{ messages: MessageProgress[] }>(`${path}/progress`).catch(() => null) : null,
      said ? get<{ silent: Silent[] }>("/api/v1/officers/silent").catch(() => null) : null,
    ]);
    if (id !== this.chosen || this.working) return;
    if (incident && incident.version >= (this.incident?.version ?? 0)) this.incident = incident;
    if (deeds) this.deeds = deeds.acts;
    if (progress) this.progress = progress.messages;
    if (silent) this.silent = silent.silent.filter((group) => group.warning === id);
  }

  /** Begin an event by hand; gives whether it was taken. */
  async begin(content: Record<string, unknown>): Promise<boolean> {
    return this.#try(NEW, async () => {
      const made = await post<Incident>("/api/v1/warnings", content);
      this.open(made.id);
    });
  }

  /** Do one act with the event on the desk; gives whether it was done. */
  async act(act: string, content: Record<string, unknown> = {}): Promise<boolean> {
    const incident = this.incident;
    if (!incident) return false;
    // What somebody changes after the form was opened, or the question asked, must not be lost.
    const version = this.form || this.armed ? this.#seen : incident.version;
    return this.#try(act, async () => {
      const path = `/api/v1/warnings/${encodeURIComponent(incident.id)}/${act}`;
      this.incident = await post<Incident>(path, { version, ...content });
      this.write("");
    });
  }

  async #try(act: string, work: () => Promise<void>): Promise<boolean> {
    this.working = true;
    this.refusal = null;
    this.overtaken = null;
    const seen = new Set(this.deeds.map((deed) => deed.version));
    try {
      await work();
      this.done = act;
      return true;
    } catch (error) {
      this.refusal = problem(error);
      if (this.refusal.status === 401) void session.look();
      if (this.refusal.status === 409) {
        this.incident = (this.refusal.body["warning"] as Incident | undefined) ?? this.incident;
        this.#seen = this.incident?.version ?? 0;
        this.working = false;
        await this.follow();
        this.overtaken = this.deeds.filter((deed) => !seen.has(deed.version));
      }
      return false;
    } finally {
      this.working = false;
      void this.look();
      void this.follow();
    }
  }

  #known(id: string): Incident | undefined {
    const heard = feed.warnings.get(id) ?? this.exercises.find((item) => item.id === id);
    return this.waiting.find((item) => item.id === id) ?? (heard as Incident | undefined);
  }
}

export const desk = new Desk();
