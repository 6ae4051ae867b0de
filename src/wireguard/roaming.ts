// The endpoint of a peer in its row, behind a sequence lock: both halves write it, the data half reads it for each message.
import { ENDPOINT_WORDS, EndpointRecord } from "./endpoint.ts";
import { Row, rowOf, type Tables } from "./tables.ts";

/** Copies the record at word `from` into the peer's row, when it differs: in the normal case nothing is written. */
export function learnEndpoint(t: Tables, peer: number, from: number): void {
  const row = rowOf(t, peer);
  let differs = false;
  for (let i = 0; i < ENDPOINT_WORDS && !differs; i++) differs = t.i32[row + Row.ENDPOINT + i] !== t.i32[from + i];
  if (!differs) return;
  const version = lock(t.i32, row);
  for (let i = 0; i < ENDPOINT_WORDS; i++) t.i32[row + Row.ENDPOINT + i] = t.i32[from + i]!;
  Atomics.store(t.i32, row + Row.ENDPOINT_VERSION, (version + 2) | 0);
}

/** Copies the peer's record to word `to` of `into`; its version, or -1 when there is no endpoint. */
export function copyEndpoint(t: Tables, peer: number, into: Int32Array, to: number): number {
  const row = rowOf(t, peer);
  for (;;) {
    const version = Atomics.load(t.i32, row + Row.ENDPOINT_VERSION);
    if ((version & 1) !== 0) continue;
    for (let i = 0; i < ENDPOINT_WORDS; i++) into[to + i] = t.i32[row + Row.ENDPOINT + i]!;
    if (Atomics.load(t.i32, row + Row.ENDPOINT_VERSION) === version) return into[to + EndpointRecord.FAMILY] === 0 ? -1 : version & 0x7fff_ffff;
  }
}

/** Forgets the local address and interface: the kernel chooses anew. */
export function clearSource(t: Tables, peer: number): void {
  const row = rowOf(t, peer);
  const version = lock(t.i32, row);
  t.i32.fill(0, row + Row.ENDPOINT + EndpointRecord.SOURCE, row + Row.ENDPOINT + ENDPOINT_WORDS);
  Atomics.store(t.i32, row + Row.ENDPOINT_VERSION, (version + 2) | 0);
}

/** Runs `write` on the record (byte offset) while readers wait. Control half only: it allocates. */
export function writeLocked(t: Tables, peer: number, write: (at: number) => void): void {
  const row = rowOf(t, peer);
  const version = lock(t.i32, row);
  write(4 * (row + Row.ENDPOINT));
  Atomics.store(t.i32, row + Row.ENDPOINT_VERSION, (version + 2) | 0);
}

// The even version that was found; it is odd now.
function lock(i32: Int32Array, row: number): number {
  for (;;) {
    const version = Atomics.load(i32, row + Row.ENDPOINT_VERSION);
    if ((version & 1) === 0 && Atomics.compareExchange(i32, row + Row.ENDPOINT_VERSION, version, version + 1) === version) return version;
  }
}
