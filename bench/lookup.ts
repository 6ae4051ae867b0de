// Nanoseconds per look-up in the allowed IPs, by the size of the table, and what filling it takes: `npx tsx bench/lookup.ts [rounds]`. Of a few flows, whose
// addresses a thread remembers, and of addresses in random order, which are walked for: a walk is as long as prefixes share bits, 33 steps at most.
import { AllowedIps } from "../src/wireguard/allowedips.ts";
import { lookup4 } from "../src/wireguard/lookup.ts";
import { Reclaimer } from "../src/wireguard/reclaim.ts";
import { createTables, DEFAULT_LIMITS, initTables, tablesSize } from "../src/wireguard/tables.ts";
import { spread } from "./statistics.ts";

const ROUNDS = Number(process.argv[2] ?? 9);
const SIZES = [1, 10, 1000, 100_000];
const FLOWS = 64;
const STRANGERS = 65_536;
const PEERS = 4096;

const address = (i: number): Uint8Array => new Uint8Array([10, i >> 16, i >> 8, i]);

for (const size of SIZES) {
  const limits = { ...DEFAULT_LIMITS, peers: PEERS };
  const tables = createTables(new SharedArrayBuffer(tablesSize(limits) + 16 * STRANGERS), 0, limits);
  initTables(tables);
  const ips = new AllowedIps(tables, new Reclaimer(tables));
  const began = performance.now();
  for (let i = 0; i < size; i++) ips.add(i % PEERS, { ip: address(i), prefix: 32 });
  const filled = performance.now() - began;

  let found = 0;
  // What is asked for lies behind the tables, 16 bytes each.
  const time = (count: number, times: number): number[] => {
    for (let i = 0; i < count; i++) tables.u8.set(address((Math.imul(i, 0x9e37_79b1) >>> 0) % size), tables.end + 16 * i);
    const round = (): number => {
      const start = process.hrtime.bigint();
      for (let t = 0; t < times; t++) for (let i = 0; i < count; i++) found += lookup4(tables, tables.end + 16 * i);
      return Number(process.hrtime.bigint() - start) / times / count;
    };
    round();
    return Array.from({ length: ROUNDS }, round);
  };
  const flows = time(FLOWS, 5000);
  const strangers = time(STRANGERS, 4);
  process.stdout.write(
    `${String(size).padStart(7)} prefixes: ${spread(flows, 1)} ns for ${FLOWS} flows, ${spread(strangers, 0)} ns for ${STRANGERS} addresses in turn; filled in ${filled.toFixed(0)} ms\n`,
  );
  if (Number.isNaN(found)) throw new Error("nothing was looked up");
}
