// Exponential back-off with jitter; randomness is an argument.

export type Backoff = { readonly firstMs: number; readonly maxMs: number; readonly factor: number; readonly jitter: number };

/** client-go's reflector values. */
export const RECONNECT: Backoff = { firstMs: 800, maxMs: 30_000, factor: 2, jitter: 1 };

/** Wait before try `attempt` (0 = first retry), in ms; `random` is uniform in [0, 1). */
export function delay(b: Backoff, attempt: number, random: number): number {
  return Math.min(b.maxMs, b.firstMs * b.factor ** attempt) * (1 + b.jitter * random);
}
