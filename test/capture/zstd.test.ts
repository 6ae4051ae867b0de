// Captures packed with zstd, by the real program.
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { concat, utf8 } from "../../src/base/bytes.ts";
import { bytesOf } from "../../src/capture/fixtures.cases.ts";
import { unpacked } from "../../src/cli/captures/container.ts";
import { readFile } from "../../src/cli/captures/file.ts";
import { describeWith, find } from "../peers.ts";

let directory: string;
beforeAll(() => (directory = mkdtempSync(join(tmpdir(), "tortie-zstd-"))));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const file = (name: string, bytes: Uint8Array): string => {
  writeFileSync(join(directory, name), bytes);
  return join(directory, name);
};
async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

describeWith(["zstd"], "zstd", () => {
  const bytes = bytesOf("leak-nodeA.pcap");
  const zstd = (input: Uint8Array, ...options: string[]): Uint8Array =>
    execFileSync(find("zstd")!, ["-c", ...options], { input, maxBuffer: 64 << 20 });
  const large = concat(...Array.from({ length: 200 }, (_, i) => (i === 0 ? bytes : bytes.subarray(24))));
  test.each([["-1"], ["-19"], ["--no-check"], ["--long=25"], ["--ultra", "-22", `--stream-size=${large.length}`], ["-B4096"]])(
    "is found out by its first bytes: %s",
    async (...options) => {
      expect((await readFile(file("z.pcap", zstd(large, ...options)))).packets.length).toBe(20_400);
    },
  );
  test("blocks of one byte in a large window: not unpacked for hours", async () => {
    const blocks = new Uint8Array(4 * 20_000).map((_, i) => [0b1010, 0, 0, 0][i % 4]!);
    const header = bytes.subarray(0, 24);
    const damaged = concat(Uint8Array.from([0x28, 0xb5, 0x2f, 0xfd, 0, 16 << 3, 24 << 3, 0, 0]), header, blocks);
    expect((await readFile(file("z.pcap", damaged))).damage[0]?.reason).toMatch(/blocks of a few bytes each, which would take hours/);
  });
  test("in several frames", async () => {
    expect((await readFile(file("z.pcap", concat(zstd(bytes.subarray(0, 5000)), zstd(bytes.subarray(5000)))))).packets.length).toBe(102);
  });
  test("what stands behind its end loses no packet, and is told with its place; a skippable frame is none of that", async () => {
    const packed = zstd(bytes);
    const skippable = Uint8Array.of(0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3);
    for (const junk of [utf8("x"), utf8("this is no zstd at all"), new Uint8Array(20)]) {
      const { packets, damage } = await readFile(file("junk.zst", concat(packed, skippable, junk)));
      expect([packets.length, damage.map((d) => [d.offset, d.block])]).toEqual([102, [[packed.length + skippable.length, "container"]]]);
      expect(damage[0]!.reason).toMatch(/behind the end of the zstd data/);
    }
    expect(await readFile(file("skip.zst", concat(skippable, packed, skippable)))).toMatchObject({ packets: { length: 102 }, damage: [] });
  });
  test.each([
    ["by its window", [0x00, 0xa0]],
    ["by its content", [0xe0, 0, 0, 0, 0xff, 0, 0, 0, 0]],
  ])("a frame that wants gigabytes of memory is refused: %s", async (_, header) => {
    const bytes = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, ...header, ...new Uint8Array(30));
    await expect(readFile(file("window.zst", bytes))).rejects.toThrow(/: it wants [0-9]{4} MB of memory to be unpacked, more than 64: /);
  });
  test("cut or damaged, it gives what could be unpacked, and says so", async () => {
    // Nothing repeats in it: many blocks.
    const records = Array.from({ length: 2000 }, () => {
      const record = concat(new Uint8Array(16), randomBytes(1000));
      const v = new DataView(record.buffer);
      v.setUint32(8, 1000, true);
      v.setUint32(12, 1000, true);
      return record;
    });
    const packed = zstd(concat(bytes.subarray(0, 24), ...records));
    const cut = await readFile(file("cut.zst", packed.subarray(0, packed.length >> 1)));
    expect(cut.packets.length).toBeGreaterThan(500);
    expect(cut.damage).toMatchObject([{ block: "container", reason: "unexpected end of file" }]);
    const damaged = new Uint8Array(packed);
    damaged.fill(0xff, damaged.length >> 1, (damaged.length >> 1) + 50);
    const broken = await readFile(file("broken.zst", damaged));
    expect(broken.packets.length).toBeGreaterThan(500);
    expect(broken.damage.length).toBe(1);
  });
  test("that swells to ten thousand times its size is read in pieces", async () => {
    const zeros = new Uint8Array(64 << 20);
    zeros.set(bytesOf("malformed/ok.pcap").subarray(0, 24));
    const bomb = zstd(zeros);
    expect(bomb.length).toBeLessThan(zeros.length / 8000);
    let most = 0;
    let before = 0;
    for await (const piece of unpacked(pieces(bomb))) {
      before += piece.length;
      most = Math.max(most, piece.length);
    }
    expect(before).toBe(zeros.length);
    expect(most).toBeLessThanOrEqual(128 << 10);
  });
});
