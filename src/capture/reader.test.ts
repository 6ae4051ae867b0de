import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, fromHex } from "../base/bytes.ts";
import { bytesOf, captures, list, open } from "./fixtures.cases.ts";
import { CaptureReader, collect, readCapture } from "./reader.ts";
import type { CaptureEvent } from "./packet.ts";

// Packets read, packets with salvage, and words of the damage or note that must be told. What tshark 4.0.17 and tcpdump 4.99.3 show was measured.
const MALFORMED: Record<string, [packets: number, salvaged: number, damage?: RegExp | undefined, note?: RegExp]> = {
  "ok.pcap": [4, 4],
  "be.pcap": [4, 4],
  "nano.pcap": [4, 4],
  "benano.pcap": [4, 4],
  "fcs.pcap": [4, 4],
  "snap0.pcap": [4, 4],
  "cap_gt_snap.pcap": [4, 4],
  "ver_2_3.pcap": [4, 4],
  "cap_gt_len.pcap": [2, 2, undefined, /captured 190 bytes of 60/],
  "usec_over.pcap": [1, 1, undefined, /a second or more/],
  "trunc_data.pcap": [1, 1, /cut short: 145 of 150/],
  "trunc_rechdr.pcap": [1, 1, /cut short: 9 of 16/],
  "trunc_hdr.pcap": [0, 0, /cut short: 20 of 24/],
  "empty0.pcap": [0, 0, /empty file/],
  "only_hdr.pcap": [0, 0],
  "cap_huge.pcap": [0, 1, /2147483647 bytes were kept/],
  "lt_unknown.pcap": [1, 1],
  "badmagic.pcap": [0, 0, /no magic number/],
  "n_ok.pcapng": [4, 4],
  "n_be.pcapng": [4, 4],
  "n_ver12.pcapng": [4, 4],
  "n_opt_noend.pcapng": [4, 4],
  "n_tsres_bin.pcapng": [4, 4],
  "n_mixed_endian.pcapng": [8, 8],
  "n_two_lt.pcapng": [3, 3],
  "n_two_snap.pcapng": [4, 4],
  "n_tsres_huge.pcapng": [4, 4, undefined, /have no time/],
  "n_noidb.pcapng": [0, 0, /no interface was described/],
  "n_badif.pcapng": [1, 2, /names interface 7/],
  "n_tail_mismatch.pcapng": [1, 2, /two lengths differ/],
  "n_len_notmult4.pcapng": [0, 4, /no multiple of 4/],
  "n_len_small.pcapng": [0, 4, /less than such a block has/],
  "n_len_huge.pcapng": [0, 4, /the most that is believed/],
  "n_cap_gt_block.pcapng": [0, 1, /more than the block holds/],
  "n_opt_badlen.pcapng": [0, 4, /option 2 says 4000 bytes/],
  "n_cap_gt_len.pcapng": [2, 2, undefined, /captured 190 bytes of 10/],
  "n_unknown_block.pcapng": [4, 4, undefined, /skipped/],
  "n_dsb_len_over.pcapng": [4, 4, undefined, /secrets block ignored/],
  "n_ver2.pcapng": [0, 0, /version 2\.0 of pcapng/],
  "n_spb.pcapng": [1, 1],
  "n_trunc_mid.pcapng": [3, 3, /cut short/],
};

describe("a damaged file gives what could be read and where it broke", () => {
  test("every file of the folder has its expectation", () => expect(Object.keys(MALFORMED).sort()).toEqual(list("malformed/")));
  test.for(Object.entries(MALFORMED))("%s", ([name, [packets, salvaged, damage, note]]) => {
    const file = open(`malformed/${name}`);
    expect(file.packets.length).toBe(packets);
    expect(open(`malformed/${name}`, { salvage: true }).packets.length).toBe(salvaged);
    const broke = file.damage.map((d) => d.reason).join("\n");
    if (damage) expect(broke).toMatch(damage);
    else expect(broke).toBe("");
    if (note) expect(file.notes.map((n) => n.what).join("\n")).toMatch(note);
  });
  test("the place of the damage is a byte offset of the file", () => expect(open("malformed/n_badif.pcapng").damage[0]!.offset).toBe(272));
  test("a packet without a time has none, and one of an impossible resolution neither", () => {
    expect(open("malformed/n_spb.pcapng").packets[0]!.time).toBeUndefined();
    expect(open("malformed/n_tsres_huge.pcapng").packets[0]!.time).toBeUndefined();
  });
  test("all byte orders and resolutions give the same times", () => {
    const times = (name: string): bigint[] => open(name).packets.map((p) => p.time! / 1000n);
    const want = times("malformed/ok.pcap");
    for (const name of ["be.pcap", "nano.pcap", "benano.pcap", "n_ok.pcapng", "n_be.pcapng"]) expect(times(`malformed/${name}`)).toEqual(want);
  });
});

describe("a good file", () => {
  test("leak-nodeA-rich.pcapng has names, keys, comments and counters", () => {
    const f = open("leak-nodeA-rich.pcapng");
    expect(f.packets.length).toBe(102);
    expect(f.names.flatMap((n) => n.names)).toContain("client.default");
    expect(f.secrets.length).toBe(1);
    expect(f.packets[9]!.comments).toEqual(["LEAK pod-to-pod plaintext cause=TUNNEL_NOT_UP"]);
    expect(f.statistics.length).toBe(1);
    expect(f.packets[0]!.direction).toBeDefined();
    expect(f.interfaces[0]!.name).toBe("capva");
  });
  test("nanoseconds are kept", () => expect(open("leak-wgA-raw-nano.pcap").format).toBe("pcap-ns"));
});

/** Reads in pieces of these sizes (the last size repeats). */
function inPieces(bytes: Uint8Array, sizes: readonly number[], salvage: boolean): CaptureEvent[] {
  const reader = new CaptureReader({ salvage });
  const events: CaptureEvent[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const n = sizes[Math.min(i, sizes.length - 1)]!;
    events.push(...reader.push(bytes.subarray(at, at + n)));
    at += n;
  }
  return [...events, ...reader.end()];
}
const summary = (events: Iterable<CaptureEvent>): unknown => {
  const f = collect(events);
  return {
    packets: f.packets.map((p) => [p.number, p.time, p.originalLength, p.data.length, p.data.at(-1)]),
    damage: f.damage,
    notes: f.notes.length,
    secrets: f.secrets.length,
  };
};

test("however the bytes come in pieces, the same is read", () => {
  const files = captures().map((name) => bytesOf(name));
  fc.assert(
    fc.property(
      fc.nat(files.length - 1),
      fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 6 }),
      fc.boolean(),
      (i, sizes, salvage) => {
        const whole = new CaptureReader({ salvage });
        const events = [...whole.push(files[i]!), ...whole.end()];
        expect(summary(inPieces(files[i]!, sizes, salvage))).toEqual(summary(events));
      },
    ),
    { numRuns: 200 },
  );
});

/** A pcap file of one packet, as old and odd writers made it. */
function pcap(o: {
  magic: number;
  le?: boolean;
  version?: [number, number];
  link?: number;
  captured: number;
  original: number;
  extra?: Uint8Array;
  data: Uint8Array;
}): Uint8Array {
  const le = o.le ?? true;
  const head = new DataView(new ArrayBuffer(40));
  const [major, minor] = o.version ?? [2, 4];
  head.setUint32(0, o.magic, le);
  head.setUint16(4, major, le);
  head.setUint16(6, minor, le);
  head.setUint32(16, 65_535, le);
  head.setUint32(20, o.link ?? 1, le);
  head.setUint32(24, 4_000_000_000, le);
  head.setUint32(28, 5, le);
  head.setUint32(32, o.captured, le);
  head.setUint32(36, o.original, le);
  return concat(new Uint8Array(head.buffer), o.extra ?? new Uint8Array(), o.data);
}

describe("variants of pcap", () => {
  const data = new Uint8Array(60).fill(7);
  const plain = { magic: 0xa1b2c3d4, captured: 60, original: 90, data };
  test.for([
    ["version 2.4", {}],
    ["big-endian", { le: false }],
    ["version 2.2: the lengths stand the other way round", { version: [2, 2], captured: 90, original: 60 }],
    ["version 543.0: the same", { version: [543, 0], captured: 90, original: 60 }],
    ["version 2.3, the other way round", { version: [2, 3], captured: 90, original: 60 }],
    ["version 2.3, in order", { version: [2, 3] }],
    ["modified, little-endian", { magic: 0xa1b2cd34, extra: new Uint8Array([3, 0, 0, 0, 8, 0, 4, 0]) }],
    ["modified, big-endian", { magic: 0xa1b2cd34, le: false, extra: new Uint8Array([0, 0, 0, 3, 0, 8, 4, 0]) }],
  ] as [string, Partial<Parameters<typeof pcap>[0]>][])("%s", ([, how]) => {
    for (const twice of [false, true]) {
      const file = pcap({ ...plain, ...how });
      const f = readCapture(twice ? concat(file, file.subarray(24)) : file);
      expect(f.damage).toEqual([]);
      expect(f.packets.map((p) => [p.data.length, p.data[0], p.data[59], p.originalLength])).toEqual(Array(twice ? 2 : 1).fill([60, 7, 7, 90]));
      // Seconds have no sign: there is a time after 2038.
      expect(f.packets[0]!.time).toBe(4_000_000_000_000_005_000n);
      expect(f.packets[0]!.direction).toBe(how.extra ? "out" : undefined);
    }
  });
  test("the link type is sixteen bits; the frame check sequence stands beside it; other bits are noted", () => {
    const fcs = readCapture(pcap({ ...plain, link: 0x2400_0001 }));
    expect([fcs.interfaces[0]!.link, fcs.interfaces[0]!.fcsLength, fcs.notes]).toEqual([1, 4, []]);
    const odd = readCapture(pcap({ ...plain, link: 0x0801_0065 }));
    expect([odd.interfaces[0]!.link, odd.interfaces[0]!.fcsLength, odd.notes.length]).toEqual([101, 0, 1]);
  });
  test.for([
    [0xa12b3c4d, /Navtel/],
    [0xa1b234cd, /Mesquita/],
    [0xa1b2c3cb, /filter program/],
    [0x1c0001ac, /Ixia/],
  ] as const)("%s is refused by name, in either byte order", ([magic, name]) => {
    for (const le of [false, true]) expect(readCapture(pcap({ ...plain, magic, le })).damage[0]!.reason).toMatch(name);
  });
  test.for([
    ["1f8b0800", /gzip -d/],
    ["28b52ffd", /zstd -d/],
    ["04224d18", /lz4 -d/],
    ["fd377a58", /xz -d/],
    ["425a6839", /bzip2 -d/],
    ["736e6f6f", /snoop/],
    ["47494638", /no magic number/],
  ] as const)("a file that starts with %s says what to do", ([start, what]) => {
    const f = readCapture(concat(fromHex(start)!, data));
    expect([f.damage.length, f.packets.length]).toEqual([1, 0]);
    expect(f.damage[0]!.reason).toMatch(what);
  });
  test("version 3 is refused", () => expect(readCapture(pcap({ ...plain, version: [3, 0] })).damage[0]!.reason).toMatch(/version 3\.0/));
});

describe("hostile files", () => {
  const files = captures()
    .map((name) => bytesOf(name))
    .filter((b) => b.length < 12_000);
  test("changed anywhere, they throw nothing and never give more than they hold", () => {
    const change = fc.record({ at: fc.nat(), value: fc.integer({ min: 0, max: 255 }) });
    fc.assert(
      fc.property(fc.nat(files.length - 1), fc.array(change, { minLength: 1, maxLength: 12 }), fc.nat(), fc.boolean(), (i, changes, cut, salvage) => {
        const bytes = new Uint8Array(files[i]!);
        for (const c of changes) bytes[c.at % Math.max(1, bytes.length)] = c.value;
        const f = readCapture(bytes.subarray(0, cut % 3 === 0 ? cut % (bytes.length + 1) : bytes.length), { salvage });
        expect(f.packets.reduce((n, p) => n + p.data.length, 0)).toBeLessThanOrEqual(bytes.length);
        expect(f.notes.length + f.damage.length).toBeLessThanOrEqual(1000);
      }),
      { numRuns: 1500 },
    );
  });
  test("random bytes are refused or read, never thrown at", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (b, salvage) => void readCapture(b, { salvage })));
  });
  test("a file of a million empty options or notes does not fill memory with words", () => {
    const custom = new Uint8Array(16);
    const v = new DataView(custom.buffer);
    v.setUint32(0, 0xbad, true);
    v.setUint32(4, 16, true);
    v.setUint32(12, 16, true);
    const head = bytesOf("malformed/n_ok.pcapng").subarray(0, 28);
    const reader = new CaptureReader();
    let notes = reader.push(head).length;
    for (let i = 0; i < 20_000; i++) notes += reader.push(custom).length;
    expect(notes).toBeLessThanOrEqual(1001);
  });
});
