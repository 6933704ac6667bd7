// A list of the server's that a panel shows, and the changes made to it there.

import { get, problem, type ProblemError } from "./api";

export class Listing<T> {
  found = $state.raw<T | null>(null);
  refusal = $state.raw<ProblemError | null>(null);
  working = $state(false);

  constructor(readonly path: string) {}

  async load(): Promise<void> {
    try {
      this.found = await get<T>(this.path);
    } catch (error) {
      this.refusal = problem(error);
    }
  }

  /** Do something, then read the list anew; gives whether it was done. */
  async change(work: () => Promise<unknown>): Promise<boolean> {
    this.working = true;
    this.refusal = null;
    try {
      await work();
      await this.load();
      return true;
    } catch (error) {
      this.refusal = problem(error);
      return false;
    } finally {
      this.working = false;
    }
  }
}
