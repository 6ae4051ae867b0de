// What the data worker does for each packet leaves nothing for the garbage collector: numbers above 2^31 would be boxed for each call (src/sys/memory.ts).
import { closeSync, openSync } from "node:fs";
import { afterAll, expect, test } from "vitest";
import { directPackets } from "../../src/crypto/packets-direct.ts";
import { evpPackets } from "../../src/crypto/packets-evp.ts";
import { bootNow } from "../../src/sys/bootclock.ts";
import { closeFd, readFd, writeFd } from "../../src/sys/descriptor.ts";
import { EPOLLIN, Epoll } from "../../src/sys/epoll.ts";
import { drain, openEventfd, wake } from "../../src/sys/eventfd.ts";
import { errno } from "../../src/sys/ffi.ts";
import { Gather } from "../../src/sys/gather.ts";
import { Inbox } from "../../src/sys/inbox.ts";
import { release, share } from "../../src/sys/memory.ts";
import { Outgoing } from "../../src/sys/outgoing.ts";
import { Slab } from "../../src/sys/slab.ts";
import { closeUdp, offloadUdp, openUdp } from "../../src/sys/udp.ts";
import { ENDPOINT_WORDS, writeEndpoint } from "../../src/wireguard/endpoint.ts";

const memory = share(2 << 20);
const slab = new Slab(memory);
const inbox = new Inbox(slab, 2);
const outgoing = new Outgoing(slab, 2, 8);
const gather = new Gather(slab, 2);
const endpoint = slab.take(4 * ENDPOINT_WORDS);
const clockAt = slab.take(16);
const clock = slab.i32.subarray(clockAt >>> 2, (clockAt >>> 2) + 4);
const text = slab.take(8192, 64) + 128;
const other = slab.take(8192, 64) + 128;
const epoll = new Epoll(slab);
const eventfd = openEventfd();
const sink = openSync("/dev/null", "w");
epoll.add(eventfd, EPOLLIN, 7);
const sockets = openUdp(0);
offloadUdp(sockets);
writeEndpoint(slab.u8, slab.u32, endpoint, { ip: new Uint8Array([127, 0, 0, 1]), port: sockets.port });
const [direct, evp] = [directPackets, evpPackets].map((make) => make(memory.buffer, memory.base));
afterAll(() => {
  epoll.close();
  closeFd(eventfd);
  closeSync(sink);
  closeUdp(sockets);
  release(memory);
});

/** Sends one message of three segments and receives it. */
function around(i: number): number {
  outgoing.clear();
  if (i % 3 === 0) outgoing.start(endpoint);
  for (let k = 0; k < 3; k++) outgoing.append(text, 100);
  outgoing.finish(100);
  if (outgoing.send(sockets.v4, 0, 1) !== 1 || inbox.receive(sockets.v4, 2, true) !== 1) return 0;
  inbox.source(0, endpoint);
  return inbox.length(0) === 300 && inbox.segment(0) === 100 ? 1 : 0;
}

const CASES: [string, ((i: number) => number) | undefined, number?][] = [
  ["send and receive", around],
  ["receive when there is nothing", () => (inbox.receive(sockets.v4, 2, true) < 0 && errno() === 11 ? 1 : 0)],
  ["read when there is nothing", () => (readFd(sockets.v4, slab.base + text, 8) < 0 && errno() === 11 ? 1 : 0)],
  [
    "write, from pieces and from one",
    () => {
      gather.put(0, text, 3);
      gather.put(1, other, 5);
      return gather.write(sink, 2) === 8 && writeFd(sink, slab.base + text, 8) === 8 ? 1 : 0;
    },
  ],
  [
    "wake and wait",
    () => {
      wake(eventfd);
      const n = epoll.wait(0);
      const seen = n === 1 && epoll.token(0) === 7 && (epoll.events(0) & EPOLLIN) !== 0;
      drain(eventfd, slab.base + clockAt);
      return seen ? 1 : 0;
    },
  ],
  ["clock", () => ((bootNow(clock, slab.base + clockAt) | 0) === 0 ? 0 : 1)],
  [
    "direct seal and open",
    direct && ((i) => (direct.seal(other, i, 7, text, other + 2048, 1420), direct.open(other, other, other + 2048, text, 1420) ? 1 : 1)),
  ],
  ["EVP seal and open", evp && ((i) => (evp.seal(other, i, 7, text, other + 2048, 1420), evp.open(other, other, other + 2048, text, 1420) ? 1 : 1))],
];

test.for(CASES)("%s", ([, once]) => {
  if (!once) return;
  let done = 0;
  const run = (n: number): void => {
    for (let i = 0; i < n; i++) done += once(i);
  };
  // Long enough for the code to be optimized.
  run(30_000);
  // One boxed number a round is 12 bytes and more; others' garbage, or a collection, may disturb a try, and on a busy machine the compiler's thread may be long in
  // coming.
  let [tries, least] = [0, Infinity];
  for (; tries < 40 && least >= 60_000; tries++) {
    const before = process.memoryUsage().heapUsed;
    run(30_000);
    least = Math.min(least, Math.abs(process.memoryUsage().heapUsed - before));
  }
  expect(done).toBe((1 + tries) * 30_000);
  expect(least).toBeLessThan(60_000);
});
