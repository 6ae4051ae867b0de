import { describe, expect, test } from "vitest";
import { concat, toHex } from "../base/bytes.ts";
import { ByLink, type ByLinkOptions } from "./bylink.ts";
import { bytesOf, copy, open } from "./fixtures.cases.ts";
import { secretsOf } from "./keylog.ts";
import type { SecretsBlock } from "./packet.ts";
import { type CaptureFile, readCapture } from "./reader.ts";

/** The files that a capture is written as, by their suffix. */
function written(file: CaptureFile, options: ByLinkOptions = {}, late?: SecretsBlock): Record<string, CaptureFile> {
  const parts: Record<string, Uint8Array[]> = {};
  const writer = new ByLink((suffix) => {
    const mine: Uint8Array[] = (parts[suffix] = []);
    return (b) => void mine.push(b);
  }, options);
  copy(file, writer);
  if (late) writer.secrets(late);
  return Object.fromEntries(Object.entries(parts).map(([suffix, p]) => [suffix, readCapture(concat(...p))]));
}
const links = (f: CaptureFile): number[] => f.interfaces.map((i) => i.link);

describe("ByLink", () => {
  const two = open("malformed/n_two_lt.pcapng");
  test("writes one file a link type, with the keys in each, all packets once", () => {
    expect(links(two)).toEqual([1, 101]);
    const files = written({ ...two, secrets: [secretsOf("# first\n")] }, {}, secretsOf("# late\n"));
    expect(Object.keys(files)).toEqual(["", "-raw"]);
    expect(Object.values(files).map(links)).toEqual([[1], [101]]);
    expect(Object.values(files).map((f) => f.secrets.length)).toEqual([2, 2]);
    const said = (f: CaptureFile): string[] => f.packets.map((p) => [p.time, p.iface.link, toHex(p.data)].join());
    expect(Object.values(files).flatMap(said)).toEqual(expect.arrayContaining(said(two)));
    expect(Object.values(files).flatMap(said).length).toBe(said(two).length);
  });
  test("writes one snap length", () => {
    const snaps = open("malformed/n_two_snap.pcapng");
    expect(snaps.interfaces.map((i) => i.snaplen)).toEqual([0, 96]);
    const { "": one, ...more } = written(snaps);
    expect(more).toEqual({});
    expect(one!.interfaces.map((i) => i.snaplen)).toEqual([262_144, 262_144]);
    expect(one!.packets.length).toBe(4);
  });
  test("together: one file with all", () => {
    const { "": one, ...more } = written(two, { together: true });
    expect([links(one!), more]).toEqual([[1, 101], {}]);
    expect(one!.packets.map((p) => p.time)).toEqual(two.packets.map((p) => p.time));
  });
  test("nothing but a file: one that holds nothing", () => {
    const { "": one, ...more } = written(readCapture(new Uint8Array()));
    expect([one!.format, one!.damage, more]).toEqual(["pcapng", [], {}]);
  });
  test("a file with everything comes out as it was", () => {
    const rich = readCapture(bytesOf("leak-nodeA-rich.pcapng"));
    const { "": again } = written(rich, { snaplen: rich.interfaces[0]!.snaplen });
    expect(again!.packets.map((p) => [p.number, p.time, p.originalLength, p.flags, p.comments])).toEqual(
      rich.packets.map((p) => [p.number, p.time, p.originalLength, p.flags, p.comments]),
    );
    expect(again!.interfaces).toEqual(rich.interfaces);
    expect(again!.names).toEqual(rich.names);
    expect(again!.statistics).toEqual(rich.statistics);
    expect(again!.secrets).toEqual(rich.secrets);
  });
});
