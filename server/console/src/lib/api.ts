// Questions to the server's own interfaces, and its refusals as RFC 9457 problems.

const PATIENCE = 20_000; // ms

export class ProblemError extends Error {
  /** status 0: no answer came at all. */
  constructor(
    readonly status: number,
    detail: string,
    readonly body: Record<string, unknown> = {},
  ) {
    super(detail);
  }
}

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** Send JSON, or a file as it is; give the answer's JSON, null where it has none. */
export async function ask<T>(method: Method, path: string, content?: unknown): Promise<T> {
  const asked: RequestInit = { method, signal: AbortSignal.timeout(PATIENCE) };
  if (content instanceof Blob) {
    asked.body = content;
    asked.headers = { "content-type": content.type || "application/octet-stream" };
  } else if (content !== undefined) {
    asked.body = JSON.stringify(content);
    asked.headers = { "content-type": "application/json" };
  }
  let answer: Response;
  try {
    answer = await fetch(path, asked);
  } catch (error) {
    throw new ProblemError(0, error instanceof Error ? error.message : String(error));
  }
  if (!answer.ok) {
    const body = (await answer.json().catch(() => ({}))) as Record<string, unknown>;
    throw new ProblemError(answer.status, String(body["detail"] ?? `${answer.status} ${answer.statusText}`), body);
  }
  const text = await answer.text();
  return (text ? JSON.parse(text) : null) as T;
}

export const get = <T>(path: string): Promise<T> => ask<T>("GET", path);
export const post = <T>(path: string, content: unknown = {}): Promise<T> => ask<T>("POST", path, content);

/** Make any error one that can be shown. */
export function problem(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error;
  return new ProblemError(0, error instanceof Error ? error.message : String(error));
}
