// Numbers of streams are held against tshark in test/capture; here, what so many streams do that not all are remembered.
import { expect, test } from "vitest";
import { nodeCrypto } from "../crypto/node.ts";
import { Analysis } from "./analysis.ts";
import { Dissector } from "./dissect.ts";
import { IFACE } from "./made.cases.ts";

/** IPv4 and TCP with a byte of data, from port 40000 of the `n`th host. */
function segment(n: number): Uint8Array {
  const ip = new Uint8Array(41);
  ip.set([0x45, 0, 0, 41, 0, 0, 0, 0, 64, 6, 0, 0, n >>> 24, n >>> 16, n >>> 8, n, 10, 0, 0, 1]);
  ip.set([40_000 >> 8, 40_000 & 255, 443 >> 8, 443 & 255], 20);
  ip.set([0x50, 0x18], 32);
  return ip;
}

test("a stream that goes on keeps its number however many others come and go; one that was silent for long gets a new one", () => {
  const analysis = new Analysis({ crypto: nodeCrypto });
  const dissector = new Dissector({ secrets: analysis.secrets, flows: true });
  let number = 0;
  const streamOf = (n: number): string => {
    let found = "";
    const data = segment(n);
    const packet = { number: ++number, time: BigInt(number), iface: { ...IFACE, link: 101 }, data, originalLength: data.length, comments: [] };
    analysis.open([{ kind: "packet", packet }], (t) => void (found = dissector.add(t).texts("tcp.stream")[0] ?? ""));
    return found;
  };
  expect([streamOf(1), streamOf(2)]).toEqual(["0", "1"]);
  for (let n = 0; n < 40_000; n++) {
    streamOf(1000 + n);
    if (n % 1000 === 0) expect(streamOf(1)).toBe("0");
  }
  expect([streamOf(1), streamOf(2)]).toEqual(["0", "40002"]);
});
