// Who sits here. Everything that is only read works without; acts need somebody.

import { ask, get, post, ProblemError } from "./api";
import { seconds } from "./format";
import type { Person, SessionAnswer } from "./types";

const SOON = 900; // s before the end of a session that it is said
const LOOK = 60_000; // ms between two looks at a session that somebody may have ended elsewhere

class Session {
  person = $state.raw<Person | null>(null);
  expires = $state(0); // s since the epoch
  ending = $state(false);
  /** Whether there is no account at all yet. */
  first = $state(false);
  /** Whether the panel that signs in is open. */
  asked = $state(false);

  start(): void {
    void this.look();
    setInterval(() => void this.look(), LOOK);
  }

  async look(): Promise<void> {
    try {
      this.#take(await get<SessionAnswer | null>("/api/v1/session"));
    } catch (error) {
      // Without an answer nobody is signed out: the line may come back.
      if (error instanceof ProblemError && [401, 403, 404].includes(error.status)) this.#take(null);
    }
  }

  async signIn(name: string, password: string): Promise<void> {
    this.#take(await post<SessionAnswer>("/api/v1/session", { name, password }));
    this.asked = false;
  }

  async welcome(token: string, name: string, title: string, password: string): Promise<void> {
    this.#take(await post<SessionAnswer>("/api/v1/welcome", { token, name, title, password }));
  }

  async signOut(): Promise<void> {
    await ask("DELETE", "/api/v1/session");
    this.#take(null);
  }

  has(...roles: string[]): boolean {
    return this.person?.roles.some((role) => roles.includes(role)) ?? false;
  }

  #take(answer: SessionAnswer | null): void {
    this.person = answer?.person ?? null;
    this.expires = answer?.until ? seconds(answer.until) : 0;
    this.first = answer?.first ?? false;
    this.ending = this.expires > 0 && this.expires - Date.now() / 1000 < SOON;
  }
}

export const session = new Session();
