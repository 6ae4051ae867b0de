// The doctor: each reason of section 1.5 made to happen, told by its code and in words that say what to do next, and never with a key in them.
import { expect, test } from "vitest";
import { toBase64 } from "../base/bytes.ts";
import { nodeCrypto } from "../crypto/node.ts";
import { ipv4 } from "../packet/build.ts";
import { Analysis } from "./analysis.ts";
import { examine, type SessionReport } from "./doctor.ts";
import { parseKeyLog } from "./keylog.ts";
import { A, B, BEGAN, data, handshake, IFACE, log, pair, ping, Scene } from "./made.cases.ts";
import type { CapturedPacket } from "./packet.ts";

const PSK = new Uint8Array(32).fill(7);
const s = handshake(1, { psk: PSK });
const message = data(s, "toResponder", 0, ping(0));
const whole = (): Scene => new Scene().handshake(0, s).add(1, A, B, message);
const all = log.initiator(s);

function doctor(packets: readonly CapturedPacket[], keys: string): { analysis: Analysis; reports: SessionReport[] } {
  const analysis = new Analysis({ crypto: nodeCrypto, logs: [parseKeyLog(keys)] });
  const events = packets.map((packet) => ({ kind: "packet", packet }) as const);
  analysis.learn(events);
  analysis.open(events);
  analysis.end();
  return { analysis, reports: analysis.sessions.map((x) => examine(x, analysis.secrets)) };
}

/** The message in two IP fragments. */
function fragments(): CapturedPacket[] {
  const payload = new Scene().add(0, A, B, message).packets[0]!.data.subarray(20);
  const fields = { src: A.ip, dst: B.ip, protocol: 17, id: 9 };
  return [ipv4({ ...fields, moreFragments: true }, payload.subarray(0, 64)), ipv4({ ...fields, fragmentOffset: 64 }, payload.subarray(64))].map(
    (bytes, i) => ({ number: 3 + i, iface: IFACE, time: undefined, data: bytes, originalLength: bytes.length, comments: [] }),
  );
}
const damaged = message.map((b, i) => (i === 40 ? b ^ 1 : b));
const cut = (first: number, second: number): Scene =>
  new Scene()
    .add(0, A, B, s.initiation, { keep: 28 + first })
    .add(0.001, B, A, s.response, { keep: 28 + second })
    .add(1, A, B, message);
const statics = log.private(s.initiator) + log.public(s.responder);
const line = (name: string, value: string): string => `${name} = ${value}\n`;

test.for<[string, string | undefined, readonly CapturedPacket[], string, RegExp, RegExp]>([
  ["everything", undefined, whole().packets, all, /./, /./],
  ["no handshake", "D1", new Scene().add(1, A, B, message).packets, all, /began after its handshake/, /0xINDEX KEY.*0x00800001/],
  ["no initiation", "D1", new Scene().add(0, B, A, s.response).add(1, A, B, message).packets, all, /only the response, packet 1/, /handshake/],
  ["no response", "D2", new Scene().add(0, A, B, s.initiation).packets, all, /packet 1.*no response/, /no session/],
  ["initiation cut", "D3", cut(115, 92).packets, all, /packet 1 .*cut.*116/, /snap length/],
  ["response cut", "D3", cut(148, 59).packets, all, /packet 2 .*cut.*60/, /snap length/],
  [
    "responder unknown",
    "D4",
    whole().packets,
    log.private(s.initiator) + log.ephemeral(s.initiatorEphemeral),
    /mac1 of packet 1/,
    /REMOTE_STATIC_PUBLIC_KEY/,
  ],
  [
    "ephemeral of the initiator alone",
    "D4",
    whole().packets,
    log.ephemeral(s.initiatorEphemeral),
    /no static key/,
    /REMOTE_STATIC.*192.0.2.2.*LOCAL_STATIC.*192.0.2.1:/,
  ],
  [
    "ephemeral of the responder alone",
    "D4",
    whole().packets,
    log.ephemeral(s.responderEphemeral),
    /no static key/,
    /^The line LOCAL_STATIC_PRIVATE_KEY.*192.0.2.2:/,
  ],
  [
    "both ephemerals alone",
    "D4",
    whole().packets,
    log.ephemeral(s.initiatorEphemeral) + log.ephemeral(s.responderEphemeral),
    /no static key/,
    /REMOTE_STATIC.*Or: .*LOCAL_STATIC/,
  ],
  ["only damaged data", "D9", new Scene().handshake(0, s).add(2, A, B, damaged).packets, all, /keys are known, but the tags of 1 of 1/, /undamaged/],
  ["no ephemeral", "D5", whole().packets, statics + log.ephemeral(pair(99)), /no ephemeral private key.*does not belong/, /tortie capture/],
  [
    "ephemeral of the other side",
    "D6",
    whole().packets,
    log.private(s.responder) + log.ephemeral(s.initiatorEphemeral),
    /same side/,
    /static private key of the initiator/,
  ],
  ["no pre-shared key", "D7", whole().packets, statics + log.ephemeral(s.initiatorEphemeral), /pre-shared key is missing/, /PRESHARED_KEY/],
  [
    "a wrong pre-shared key",
    "D7",
    whole().packets,
    statics + log.ephemeral(s.initiatorEphemeral) + log.psk(pair(5).private),
    /wrong/,
    /directly after/,
  ],
  [
    "the ephemeral's line is malformed",
    "D8",
    whole().packets,
    statics + line("LOCAL_EPHEMERAL_PRIVATE_KEY", toBase64(s.initiatorEphemeral.private).slice(0, 30)),
    /line 3 of the key log.*30 characters/,
    /That line/,
  ],
  [
    "the pre-shared key's line is malformed",
    "D8",
    whole().packets,
    statics + log.ephemeral(s.initiatorEphemeral) + line("PRESHARED_KEY", toBase64(PSK).replace(/^./, "!")),
    /line 4 of the key log.*character 1/,
    /That line/,
  ],
  ["damaged data", "D9", whole().add(2, A, B, damaged).packets, all, /tags of 1 of 2 do not verify/, /undamaged/],
  ["a fragment missing", "D10", [...whole().packets.slice(0, 2), fragments()[0]!], all, /fragments that are not all/, /filter/],
])("%s: %s", ([, code, packets, keys, why, needs]) => {
  const { reports } = doctor(packets, keys);
  expect(reports.length).toBe(1);
  const { diagnosis } = reports[0]!;
  expect(diagnosis?.code).toBe(code);
  if (diagnosis) {
    expect(diagnosis.why).toMatch(why);
    expect(diagnosis.needs).toMatch(needs);
  }
  const said = JSON.stringify(reports.map((r) => [r.opened, r.diagnosis, r.warnings]));
  for (const k of [s.initiator, s.responder, s.initiatorEphemeral, s.responderEphemeral]) expect(said).not.toContain(toBase64(k.private));
  expect(said).not.toContain(toBase64(PSK));
});

test("both fragments: it opens", () => {
  for (const parts of [fragments(), fragments().toReversed()]) {
    const { analysis, reports } = doctor([...whole().packets.slice(0, 2), ...parts], all);
    expect([analysis.sessions[0]!.counts.toResponder.decrypted, reports[0]!.diagnosis]).toEqual([1, undefined]);
  }
});

test.for(["initiator", "responder"] as const)("the public ephemeral of the %s given as private is recognised", (side) => {
  const given = side === "initiator" ? s.initiatorEphemeral : s.responderEphemeral;
  const { reports } = doctor(whole().packets, log.private(s.responder) + line("LOCAL_EPHEMERAL_PRIVATE_KEY", toBase64(given.public)));
  expect(reports[0]!.warnings.join()).toMatch(new RegExp(`public half of the ${side}'s ephemeral key: packet ${side === "initiator" ? 1 : 2}`));
});

test.for(["initiator", "responder"] as const)("the static public key of the %s given as private is recognised", (side) => {
  const { reports } = doctor(
    whole().packets,
    log.ephemeral(s.initiatorEphemeral) + log.public(s.responder) + line("LOCAL_STATIC_PRIVATE_KEY", toBase64(s[side].public)),
  );
  expect(reports[0]!.warnings.join()).toMatch(new RegExp(`that was given as a private key is the ${side}'s static public key`));
});

test.for([
  [100, /\(110 ms before it was captured/],
  [-5000, /\(5000 ms after it was captured: that clock is ahead/],
] as const)("a clock %i ms behind, its stamps rounded down", ([behind, said]) => {
  const h = handshake(2, { clock: BEGAN - behind });
  const { reports } = doctor(new Scene().handshake(0, h).packets, log.responder(h));
  expect(reports[0]!.opened.join()).toMatch(said);
});

test("session keys by index open what has no handshake, and nothing else", () => {
  const key = toBase64(s.keys.toResponder);
  const scene = new Scene().add(0, A, B, message).add(1, B, A, data(s, "toInitiator", 0, ping(1)));
  const { analysis } = doctor(scene.packets, `0x${s.responderIndex.toString(16).padStart(8, "0")} ${key}\n`);
  expect(analysis.sessions.map((x) => [x.counts.toResponder.decrypted, x.counts.toInitiator.decrypted])).toEqual([[1, 0]]);
});
