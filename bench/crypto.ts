// Nanoseconds per packet of sealing and opening, by each way that this Node has: `npx tsx bench/crypto.ts [rounds]`. The ways take turns, round by round;
// the least of each is what it costs when nothing else runs on the core. Lengths: a keepalive, an acknowledgement, a small and a full packet.
import { directPackets } from "../src/crypto/packets-direct.ts";
import { evpPackets } from "../src/crypto/packets-evp.ts";
import { nodePackets } from "../src/crypto/packets-node.ts";
import { opensslPackets } from "../src/crypto/packets.ts";
import { release, share } from "../src/sys/memory.ts";
import type { PacketCrypto } from "../src/wireguard/crypto.ts";
import { MACHINE } from "./report.ts";

const ROUNDS = Number(process.argv[2] ?? 300);
const SLICE = 200;
const [KEY, TEXT, SEALED, OPENED] = [64, 4096, 16_384, 32_768];
const LENGTHS = [0, 64, 128, 512, 1420];

const memory = share(65_536);
const ways = [opensslPackets, directPackets, evpPackets, nodePackets].flatMap((make) => make(memory.buffer, memory.base) ?? []);

function slice(run: () => void): number {
  const start = process.hrtime.bigint();
  for (let i = 0; i < SLICE; i++) run();
  return Number(process.hrtime.bigint() - start) / SLICE;
}

type Row = { readonly way: string; readonly length: number; seal: number; open: number };

function measure(packets: PacketCrypto, row: Row): void {
  const { length } = row;
  row.seal = Math.min(
    row.seal,
    slice(() => packets.seal(KEY, 1, 0, TEXT, SEALED, length)),
  );
  new DataView(memory.buffer).setBigUint64(SEALED - 8, 1n, true);
  let wrong = 0;
  row.open = Math.min(
    row.open,
    slice(() => {
      if (!packets.open(KEY, SEALED - 8, SEALED, OPENED, length)) wrong++;
    }),
  );
  if (wrong > 0) throw new Error(`${row.way} does not open what it sealed`);
}

const rows = ways.flatMap((w, i) =>
  LENGTHS.map((length): Row => ({ way: i === 0 ? `chosen: ${w.name}` : w.name, length, seal: Infinity, open: Infinity })),
);
for (let round = 0; round < ROUNDS; round++)
  for (const [i, way] of ways.entries()) for (let l = 0; l < LENGTHS.length; l++) measure(way, rows[i * LENGTHS.length + l]!);
release(memory);

console.log(`${MACHINE}\n\n| way | bytes | seal, ns | open, ns |\n|---|---|---|---|`);
for (const r of rows) console.log(`| ${r.way} | ${r.length} | ${r.seal.toFixed(0)} | ${r.open.toFixed(0)} |`);
