import { describe, expect, test } from "vitest";
import { bytesOf, keyIn, textOf } from "../../capture/fixtures.cases.ts";
import { parseKeyLog } from "../../capture/keylog.ts";
import { readCapture } from "../../capture/reader.ts";
import type { LivePacket } from "../../sys/livepacket.ts";
import { Hold } from "./hold.ts";
import type { Tap, Tapped } from "./tap.ts";

const FILE = readCapture(bytesOf("wggo-psk-v4.pcap"));
/** The initiator's device, which is on the capturing machine. */
const KEYS = textOf("wggo-psk-v4.initiator.keys");
const RESPONDER_KEYS = textOf("wggo-psk-v4.responder.keys");
/** Its device tells of other sessions, too. */
const OTHER = KEYS.replace(keyIn(KEYS, "LOCAL_EPHEMERAL_PRIVATE_KEY"), keyIn(KEYS, "LOCAL_STATIC_PRIVATE_KEY"));
const SESSION = textOf("wggo-psk-v4.session.keys").replaceAll(/^0x/gm, "WGX_SESSION_KEY = 0x");
const tap = { link: FILE.interfaces[0]!.link } as Tap;
const packet = (i: number, direction: LivePacket["direction"]): Tapped => {
  const { data, originalLength } = FILE.packets[i]!;
  return { tap, packet: { data, originalLength, direction, timeNs: BigInt(i), dropped: 0 } as LivePacket };
};

/** What came out, in order: numbers of packets, "keys" or "session key". */
function run(steps: (hold: Hold) => void): (number | string)[] {
  const out: (number | string)[] = [];
  const hold = new Hold({
    pass: (t) => out.push(Number(t.packet.timeNs)),
    keys: (text) => {
      const log = parseKeyLog(text);
      expect(log.ephemerals.length + log.sessionKeys.size).toBe(1);
      out.push(log.ephemerals.length > 0 ? "keys" : "session key");
    },
  });
  steps(hold);
  return out;
}

describe("Hold", () => {
  test.for<[string, (hold: Hold) => void, (number | string)[]]>([
    ["keys that came first wait for their packet", (h) => (h.add(KEYS), h.packet(packet(1, "in"), 0), h.packet(packet(0, "out"), 0)), [1, "keys", 0]],
    [
      "a packet that was sent waits for its keys, and all after it",
      (h) => (h.packet(packet(0, "out"), 0), h.packet(packet(1, "in"), 0), h.add(KEYS), h.release(1)),
      ["keys", 0, 1],
    ],
    ["but not for ever", (h) => (h.packet(packet(0, "out"), 0), h.packet(packet(1, "in"), 900), h.release(999), h.release(1000)), [0, 1]],
    ["keys that come too late come all the same", (h) => (h.packet(packet(0, "out"), 0), h.release(1000), h.add(KEYS)), [0, "keys"]],
    ["what was received waits for nothing", (h) => h.packet(packet(1, "in"), 0), [1]],
    [
      "but an initiation for the keys of its answer",
      (h) => (h.packet(packet(0, "in"), 0), h.packet(packet(1, "out"), 0), h.add(RESPONDER_KEYS), h.release(1)),
      ["keys", 0, 1],
    ],
    ["which may have come", (h) => (h.packet(packet(0, "in"), 0), h.add(RESPONDER_KEYS), h.packet(packet(1, "out"), 0)), ["keys", 0, 1]],
    ["if one comes", (h) => (h.packet(packet(0, "in"), 0), h.packet(packet(2, "out"), 900), h.release(999), h.release(1000)), [0, 2]],
    ["keys of what was seen on a wire that others send on", (h) => (h.packet(packet(0, "other"), 0), h.add(KEYS)), [0, "keys"]],
    [
      "keys of other sessions are never written",
      (h) => (h.add(OTHER), h.add(KEYS), h.packet(packet(0, "out"), 0), h.add(OTHER), h.release(9999, true)),
      ["keys", 0],
    ],
    [
      "each record once, however often its packet is seen",
      (h) => (h.add(KEYS), h.packet(packet(0, "out"), 0), h.packet(packet(0, "out"), 0), h.add(KEYS), h.packet(packet(0, "other"), 0)),
      ["keys", 0, 0, 0],
    ],
    [
      "session keys, when the first data of their direction comes",
      (h) => (h.add(SESSION), h.packet(packet(0, "other"), 0), h.packet(packet(2, "in"), 0), h.packet(packet(2, "in"), 0)),
      [0, "session key", 2, 2],
    ],
    ["a record in pieces", (h) => (KEYS.split(/(?<=\n)/).forEach((line) => h.add(line)), h.packet(packet(0, "out"), 0)), ["keys", 0]],
    ["static keys alone", (h) => (h.add(`${KEYS.split("\n").slice(0, 2).join("\n")}\n`), h.packet(packet(0, "other"), 0)), [0]],
  ])("%s", ([, steps, want]) => expect(run(steps)).toEqual(want));

  test("add() counts handshakes", () => {
    const hold = new Hold({ pass: () => {}, keys: () => {} });
    expect([hold.add(KEYS + OTHER), hold.add(SESSION), hold.add("REMOTE_STATIC_PUBLIC_KEY = x\n")]).toEqual([2, 0, 0]);
  });
});
