// How much one identity may ask: requests a second (a token bucket) and watches at a time. Administrators are not limited, as in Kubernetes: who must put
// things right is not shut out. Those who are not known count by where they come from.
import { tooManyRequests } from "../../api/status.ts";
import type { User } from "../wire/request.ts";
import { isAdmin, UNAUTHENTICATED } from "./roles.ts";

export type LimitValues = {
  /** Requests a second, for ever. */
  readonly perSecond: number;
  /** Requests at once after a pause. */
  readonly burst: number;
  /** Watches at a time, with whatever else lasts: logs that are followed, exec, captures, an agent's stream. */
  readonly watches: number;
};
export const USUAL_LIMITS: LimitValues = { perSecond: 200, burst: 600, watches: 200 };
/** Identities that are remembered; those who have not asked lately are forgotten first. */
const REMEMBERED = 8192;

type Bucket = { tokens: number; at: number; /** The last request was answered. */ answered: boolean };

export class Limits {
  readonly #values: LimitValues;
  readonly #now: () => number;
  readonly #buckets = new Map<string, Bucket>();
  readonly #watches = new Map<string, number>();

  /** `now` in ms, growing. */
  constructor(values: LimitValues, now: () => number) {
    this.#values = values;
    this.#now = now;
  }

  /** Counts one request. The result: whether it may be answered, and whether this refusal is the first after one that might. */
  take(user: User, source: string): "yes" | "first no" | "no" {
    if (isAdmin(user)) return "yes";
    const { perSecond, burst } = this.#values;
    const name = keyOf(user, source);
    const now = this.#now();
    const bucket = this.#buckets.get(name) ?? { tokens: burst, at: now, answered: true };
    // The order of the map is that of the last requests.
    this.#buckets.delete(name);
    this.#buckets.set(name, bucket);
    if (this.#buckets.size > REMEMBERED) this.#buckets.delete(this.#buckets.keys().next().value!);
    bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) * perSecond) / 1000);
    bucket.at = now;
    if (bucket.tokens < 1) {
      const first = bucket.answered;
      bucket.answered = false;
      return first ? "first no" : "no";
    }
    bucket.tokens--;
    bucket.answered = true;
    return "yes";
  }

  /** Counts a watch until the result is called. Throws ApiError 429. */
  watch(user: User, source: string): () => void {
    if (isAdmin(user)) return () => {};
    const name = keyOf(user, source);
    const open = this.#watches.get(name) ?? 0;
    if (open >= this.#values.watches) throw tooManyRequests();
    this.#watches.set(name, open + 1);
    let over = false;
    return () => {
      if (over) return;
      over = true;
      const left = this.#watches.get(name)! - 1;
      if (left === 0) this.#watches.delete(name);
      else this.#watches.set(name, left);
    };
  }
}

const keyOf = (user: User, source: string): string => (user.groups.includes(UNAUTHENTICATED) ? `from ${source}` : `user ${user.name}`);
