import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeProtobuf } from "./protobuf.ts";

// A naive encoder: what is written here is read back there.
const varint = (n: number): number[] => (n < 128 ? [n] : [(n % 128) | 128, ...varint(Math.floor(n / 128))]);
const bytes = (field: number, content: Iterable<number>): number[] => [...varint(field * 8 + 2), ...varint([...content].length), ...content];
const text = (field: number, t: string): number[] => bytes(field, Buffer.from(t));
const number = (field: number, n: number): number[] => [...varint(field * 8), ...varint(n)];
const envelope = (kind: string, raw: number[]): Uint8Array =>
  Uint8Array.from([0x6b, 0x38, 0x73, 0, ...bytes(1, [...text(1, "v1"), ...text(2, kind)]), ...bytes(2, raw), ...text(3, ""), ...text(4, "")]);

describe("decodeProtobuf()", () => {
  test("what kubectl 1.36.4 sends for `kubectl create namespace x` (recorded with -v=10)", () => {
    const hex = "6b3873000a0f0a02763112094e616d65737061636512190a110a017812001a0022002a00320038004200" + "12001a020a001a002200";
    expect(decodeProtobuf(Buffer.from(hex, "hex"))).toEqual({ apiVersion: "v1", kind: "Namespace", metadata: { name: "x" }, spec: {}, status: {} });
  });
  test("a Node with its annotations, times, maps and lists", () => {
    const meta = [
      ...text(1, "n1"),
      ...text(2, ""),
      ...bytes(8, number(1, 1_795_435_200)),
      ...bytes(9, []),
      ...bytes(12, [...text(1, "projectcalico.org/WireguardPublicKey"), ...text(2, "key")]),
      ...bytes(12, [...text(1, "empty"), ...text(2, "")]),
      ...text(14, "a/b"),
      ...text(14, "c/d"),
    ];
    const status = [
      ...bytes(1, [...text(1, "cpu"), ...bytes(2, text(1, "4"))]),
      ...bytes(4, [...text(1, "Ready"), ...text(2, "True")]),
      ...bytes(5, [...text(1, "InternalIP"), ...text(2, "10.0.0.1")]),
      ...bytes(6, bytes(1, number(1, 10250))),
    ];
    expect(decodeProtobuf(envelope("Node", [...bytes(1, meta), ...bytes(2, [...number(4, 1)]), ...bytes(3, status)]))).toEqual({
      apiVersion: "v1",
      kind: "Node",
      metadata: {
        name: "n1",
        creationTimestamp: "2026-11-23T12:00:00Z",
        annotations: { "projectcalico.org/WireguardPublicKey": "key", empty: "" },
        finalizers: ["a/b", "c/d"],
      },
      spec: { unschedulable: true },
      status: {
        capacity: { cpu: "4" },
        conditions: [{ type: "Ready", status: "True" }],
        addresses: [{ type: "InternalIP", address: "10.0.0.1" }],
        daemonEndpoints: { kubeletEndpoint: { Port: 10250 } },
      },
    });
  });
  test.for<[string, Uint8Array]>([
    ["no magic", Uint8Array.from([1, 2, 3])],
    ["a kind without a table", envelope("Deployment", [])],
    ["a field without a name", envelope("Node", text(9, "x"))],
    ["a field within", envelope("Node", bytes(1, text(99, "x")))],
    ["a length past the end", envelope("Node", [10, 100, 1])],
    ["a number without end", envelope("Node", [0xff, 0xff, 0xff])],
    ["a number for a message", envelope("Node", number(1, 5))],
    ["a fixed-width field", envelope("Node", [13, 0, 0, 0, 0])],
    ["text that is not UTF-8", envelope("Node", bytes(1, bytes(1, [0xff])))],
    ["a time at the end of days", envelope("Node", bytes(1, bytes(8, number(1, 2 ** 50))))],
    ["__proto__", envelope("Node", bytes(1, bytes(12, text(1, "__proto__"))))],
  ])("%s is refused", ([, sent]) => expect(() => decodeProtobuf(sent)).toThrow());
  test("any bytes give an object or an error, at once", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (raw) => {
        try {
          expect(decodeProtobuf(envelope("Node", [...raw]))).toMatchObject({ kind: "Node" });
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(Error);
        }
      }),
    );
  });
});
