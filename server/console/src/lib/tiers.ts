// Who is told, in the order in which they are.

export const TIERS: readonly string[] = ["official", "officer", "outlet", "public"];

export const byTier = <T>(rows: Record<string, T>): [string, T][] =>
  Object.entries(rows).sort(([a], [b]) => TIERS.indexOf(a) - TIERS.indexOf(b));
