// Files and pipes as they are: each can be read as often as wanted, and gives the same bytes.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, mkdtempSync, readdirSync, readlinkSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { concat, utf8 } from "../../base/bytes.ts";
import { bytesOf } from "../../capture/fixtures.cases.ts";
import { readEvents, readFile } from "./file.ts";
import { sourceOf } from "./source.ts";

let directory: string;
beforeAll(() => (directory = mkdtempSync(join(tmpdir(), "tortie-source-"))));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const file = (name: string, bytes: Uint8Array): string => {
  writeFileSync(join(directory, name), bytes);
  return join(directory, name);
};
const all = async (chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> => {
  const parts: Uint8Array[] = [];
  for await (const c of chunks) parts.push(c);
  return concat(...parts);
};
const large = new Uint8Array(3 << 20).map((_, i) => (i * 7) ^ (i >> 9));

describe("a source is read as often as wanted", () => {
  test("a file", async () => {
    const source = await sourceOf(file("large", large));
    expect(source.size).toBe(large.length);
    for (let n = 0; n < 2; n++) expect(Buffer.compare(await all(source.chunks()), large)).toBe(0);
  });
  test("a file in two buffers, for who keeps nothing", async () => {
    const source = await sourceOf(file("large", large));
    const buffers = new Set<ArrayBufferLike>();
    let at = 0;
    for await (const chunk of source.chunks(true)) {
      expect(Buffer.compare(chunk, large.subarray(at, (at += chunk.length)))).toBe(0);
      buffers.add(chunk.buffer);
    }
    expect([at, buffers.size]).toEqual([large.length, 2]);
  });
  test("a pipe, by two readers at once and once more; what it is kept in has no name and is its owner's alone", async () => {
    const path = join(directory, "pipe");
    execFileSync("mkfifo", [path]);
    const writer = createWriteStream(path);
    const source = await sourceOf(path);
    writer.end(large);
    const early = source.chunks();
    await early.next();
    const kept = readdirSync("/proc/self/fd").filter((fd) => {
      try {
        return /\/tortie-[0-9a-f-]{36} \(deleted\)$/.test(readlinkSync(`/proc/self/fd/${fd}`));
      } catch {
        return false;
      }
    });
    expect(kept.length).toBe(1);
    expect(statSync(`/proc/self/fd/${kept[0]}`).mode & 0o777).toBe(0o600);
    const both = await Promise.all([all(source.chunks()), all((await sourceOf(path)).chunks())]);
    for (const bytes of [...both, await all(source.chunks())]) expect(Buffer.compare(bytes, large)).toBe(0);
  });
  test("standard input, twice in one process, while it comes in small pieces", async () => {
    const script = `import { readFile } from ${JSON.stringify(new URL("file.ts", import.meta.url).href)};
      for (let n = 0; n < 2; n++) console.log((await readFile("-")).packets.length);`;
    const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], { stdio: ["pipe", "pipe", "inherit"] });
    let out = "";
    child.stdout.setEncoding("utf8").on("data", (t: string) => (out += t));
    const bytes = bytesOf("wggo-psk-v4.pcap");
    for (let at = 0; at < bytes.length; at += 700) child.stdin.write(bytes.subarray(at, at + 700));
    child.stdin.end();
    await once(child, "close");
    expect(out).toBe("25\n25\n");
  });
});

describe("gzip", () => {
  const bytes = bytesOf("leak-nodeA.pcap");
  test("is found out by its first bytes, in one member or several", async () => {
    expect((await readFile(file("x.pcap", gzipSync(bytes)))).packets.length).toBe(102);
    const members = concat(gzipSync(bytes.subarray(0, 5000)), gzipSync(bytes.subarray(5000)));
    expect((await readFile(file("y.pcap", members))).packets.length).toBe(102);
  });
  // As gunzip(1): "decompression OK, trailing garbage ignored", and nothing about zeros.
  test("what stands behind its end loses no packet, and is told with its place", async () => {
    const two = concat(gzipSync(bytes.subarray(0, 5000)), gzipSync(bytes.subarray(5000)));
    for (const packed of [gzipSync(bytes), two])
      for (const junk of [utf8("x"), utf8("\x1f is how a member begins"), utf8("junk ".repeat(100_000)), concat(new Uint8Array(600), utf8("x"))]) {
        const { packets, damage } = await readFile(file("junk.gz", concat(packed, junk)));
        expect([packets.length, damage.map((d) => [d.offset, d.block])]).toEqual([102, [[packed.length, "container"]]]);
        expect(damage[0]!.reason).toMatch(/behind the end of the gzip data/);
      }
    expect(await readFile(file("zeros.gz", concat(two, new Uint8Array(40_000))))).toMatchObject({ packets: { length: 102 }, damage: [] });
  });
  test("a header with all that it may hold", async () => {
    const packed = gzipSync(bytes);
    const header = concat(Uint8Array.of(0x1f, 0x8b, 8, 2 | 4 | 8 | 16, 0, 0, 0, 0, 0, 3, 3, 0, 1, 2, 3), utf8("name\0remark\0"), Uint8Array.of(0, 0));
    expect(await readFile(file("header.gz", concat(header, packed.subarray(10))))).toMatchObject({ packets: { length: 102 }, damage: [] });
  });
  test.each([
    [8, "incorrect data check"],
    [4, "incorrect length check"],
  ])("a sum that is wrong, %i bytes before the end: all packets, and %s", async (before, reason) => {
    const packed = new Uint8Array(gzipSync(bytes));
    packed[packed.length - before]! ^= 1;
    expect(await readFile(file("sum.gz", packed))).toMatchObject({ packets: { length: 102 }, damage: [{ block: "container", reason }] });
  });
  test("cut or damaged, it gives what could be unpacked, and says so", async () => {
    const packed = gzipSync(bytes, { level: 1 });
    const cut = await readFile(file("cut.gz", packed.subarray(0, packed.length >> 1)));
    expect(cut.packets.length).toBeGreaterThan(20);
    expect(cut.damage).toMatchObject([{ block: "container", reason: "unexpected end of file" }]);
    // Damage is found by what does not decode, or by the sum at the end.
    const large = concat(...Array.from({ length: 20 }, (_, i) => (i === 0 ? bytes : bytes.subarray(24))));
    const damaged = new Uint8Array(gzipSync(large, { level: 1 }));
    damaged.fill(0xff, damaged.length >> 1, (damaged.length >> 1) + 50);
    const broken = await readFile(file("broken.gz", damaged));
    expect(broken.packets.length).toBeGreaterThan(500);
    expect(broken.damage.length).toBe(1);
  });
  test("that swells to a thousand times its size is read in small pieces", async () => {
    const zeros = new Uint8Array(32 << 20);
    const v = new DataView(zeros.buffer);
    zeros.set(bytesOf("malformed/ok.pcap").subarray(0, 24));
    for (let at = 24; at + 60_016 <= zeros.length; at += 60_016) {
      v.setUint32(at + 8, 60_000, true);
      v.setUint32(at + 12, 60_000, true);
    }
    const bomb = gzipSync(zeros);
    expect(bomb.length).toBeLessThan(zeros.length / 400);
    let packets = 0;
    let most = 0;
    for await (const events of readEvents(file("bomb.gz", bomb))) {
      const held = events.reduce((n, e) => n + (e.kind === "packet" ? e.packet.data.length : 0), 0);
      packets += events.length;
      most = Math.max(most, held);
    }
    expect(packets).toBeGreaterThan(500);
    expect(most).toBeLessThan(200_000);
  });
});
