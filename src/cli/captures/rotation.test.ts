import { describe, expect, test } from "vitest";
import { formatName, Rotation } from "./rotation.ts";

const T = new Date(2026, 0, 2, 3, 4, 5).getTime();

describe("Rotation", () => {
  test.for<[string, string, ConstructorParameters<typeof Rotation>[1], (string | undefined)[]]>([
    ["one file", "a.pcapng", {}, ["a.pcapng", "a.pcapng"]],
    ["by size", "d/a.pcapng", { bytes: 1 }, ["d/a-00000.pcapng", "d/a-00001.pcapng"]],
    ["by size, a ring of three", "a", { bytes: 1, files: 3 }, ["a-0", "a-1", "a-2", "a-0", "a-1"]],
    ["by size, a ring of eleven", "a.b.pcap", { bytes: 1, files: 11 }, ["a.b-00.pcap", "a.b-01.pcap"]],
    ["by time, until there are two", "a.pcapng", { seconds: 5, files: 2 }, ["a-0.pcapng", "a-1.pcapng", undefined]],
    ["by time, dated", "a-%Y%m%d-%H%M%S.pcapng", { seconds: 5 }, ["a-20260102-030405.pcapng", "a-20260102-030410.pcapng"]],
    ["by size too, within one name", "%H.pcapng", { seconds: 60, bytes: 1 }, ["03.pcapng", "03-00001.pcapng"]],
  ])("%s", ([, name, options, names]) => {
    const rotation = new Rotation(name, options);
    expect(names.map((_, i) => rotation.next(T + i * 5000))).toEqual(names);
  });
  test("a file is full when the next packet does not fit, or its time is up", () => {
    const rotation = new Rotation("a", { bytes: 100, seconds: 5 });
    rotation.next(T);
    expect([rotation.full(50, 50, T), rotation.full(50, 51, T), rotation.full(0, 0, T + 4999), rotation.full(0, 0, T + 5000)]).toEqual([
      false,
      true,
      false,
      true,
    ]);
  });
  test.for([
    ["-", { bytes: 1 }],
    ["a", { files: 3 }],
  ] as const)("%s %j makes no sense", ([name, options]) => expect(() => new Rotation(name, options)).toThrow(/^Cannot /));
  test("formatName() leaves what it does not know", () => expect(formatName("%%-%q-%y", new Date(T))).toBe("%-%q-%y"));
});
