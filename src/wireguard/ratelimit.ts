// Limits handshake messages by source under load: a token bucket per IPv4 address or IPv6 /64 (the kernel's ratelimiter.c). Bounded: when the table is
// full of recent sources, new ones are denied.
import type { Ip } from "../base/ip.ts";
import { HANDSHAKE_BURST, HANDSHAKES_PER_SECOND, MAX_LIMITED_SOURCES } from "./constants.ts";

const COST = 1000 / HANDSHAKES_PER_SECOND;
const CAP = COST * HANDSHAKE_BURST;
/** A bucket that is full again tells nothing. */
const IDLE = 1000;

export class RateLimiter {
  readonly #buckets = new Map<string, { tokens: number; last: number }>();
  readonly #capacity: number;
  #swept = -Infinity;

  constructor(capacity: number = MAX_LIMITED_SOURCES) {
    this.#capacity = capacity;
  }
  get size(): number {
    return this.#buckets.size;
  }
  allow(ip: Ip, now: number): boolean {
    if (now - this.#swept >= IDLE) this.#sweep(now);
    const key = ip.subarray(0, 8).join(".");
    const bucket = this.#buckets.get(key);
    if (!bucket) {
      if (this.#buckets.size >= this.#capacity) return false;
      this.#buckets.set(key, { tokens: CAP - COST, last: now });
      return true;
    }
    bucket.tokens = Math.min(CAP, bucket.tokens + now - bucket.last);
    bucket.last = now;
    if (bucket.tokens < COST) return false;
    bucket.tokens -= COST;
    return true;
  }
  #sweep(now: number): void {
    this.#swept = now;
    for (const [key, bucket] of this.#buckets) if (now - bucket.last > IDLE) this.#buckets.delete(key);
  }
}
