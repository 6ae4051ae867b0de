// Fuzzers of the configuration protocol, both ends: lines that are nearly right, cut at any place, and answers that no device of ours gives.
import { concat, utf8 } from "../base/bytes.ts";
import type { Dice, Fuzzer } from "../base/random.cases.ts";
import { encodeSet, encodeState, HandshakeOperation, LineTooLong, Lines, ReplyReader, SetOperation } from "./codec.ts";
import { MemoryDevice } from "./memory.ts";
import { Errno } from "./types.ts";

const SPECIAL = [0, 9, 10, 13, 32, 37, 45, 46, 47, 48, 58, 61, 91, 93, 0x7f, 0xc3, 0xff].concat([...utf8("aAfFgxX019-")]);
const keyText = (dice: Dice): string => dice.pick(["00", "aa", "0f", "ff"]).repeat(32);
const VALUES: Readonly<Record<string, (dice: Dice) => string>> = {
  private_key: keyText,
  listen_port: (dice) => String(dice.pick([0, 1, 51820, 65535, 65536, -1, 1e21])),
  fwmark: (dice) => String(dice.pick([0, 1, 4294967295, 4294967296])),
  replace_peers: (dice) => dice.pick(["true", "false", "True", ""]),
  public_key: keyText,
  update_only: (dice) => dice.pick(["true", "1"]),
  remove: (dice) => dice.pick(["true", "yes"]),
  preshared_key: keyText,
  protocol_version: (dice) => dice.pick(["1", "2"]),
  endpoint: (dice) => dice.pick(["1.2.3.4:5", "[::1]:65535", "[fe80::1%eth0]:1", "[::ffff:1.2.3.4]:1", "host:1", "1.2.3.4", "[::1:1"]),
  persistent_keepalive_interval: (dice) => String(dice.pick([0, 25, 65535, 65536])),
  replace_allowed_ips: (dice) => dice.pick(["true", "no"]),
  allowed_ip: (dice) => dice.pick(["10.0.0.0/8", "-10.0.0.0/8", "::/0", "fd00::1/128", "0.0.0.0/0", "10.1.2.3/33", "--1.2.3.4/5", "1.2.3.4/"]),
  errno: (dice) => String(dice.pick([0, 22, -98])),
  nonsense: () => "x",
};

function text(dice: Dice, lines: number): Uint8Array<ArrayBuffer> {
  const parts: string[] = [];
  for (let i = dice.below(lines); i > 0; i--) {
    const name = dice.pick(Object.keys(VALUES));
    parts.push(`${name}=${VALUES[name]!(dice)}\n`);
  }
  return utf8(parts.join(""));
}

/** The lines of `bytes`, which come in pieces. False: the stream could not be followed. */
function* piecewise(dice: Dice, bytes: Uint8Array): Generator<Uint8Array, boolean> {
  const lines = new Lines();
  try {
    for (let at = 0; at < bytes.length;) {
      const n = dice.chance(0.1) ? 1 : 1 + dice.below(400);
      yield* lines.push(bytes.slice(at, at + n));
      at += n;
    }
    return true;
  } catch (thrown) {
    if (thrown instanceof LineTooLong) return false;
    throw thrown;
  }
}

function check(what: boolean, words: string): void {
  if (!what) throw new Error(words);
}
const answers: ReadonlySet<number> = new Set(Object.values(Errno));

/** What a device of any configuration says, a client reads. */
function readable(device: MemoryDevice): void {
  const reader = new ReplyReader();
  const lines = new Lines();
  for (const chunk of encodeState(device.state())) for (const line of lines.push(chunk)) if (line.length > 0) reader.line(line);
  const reply = reader.end();
  check("state" in reply, `the state cannot be read: ${JSON.stringify(reply)}`);
  if (!("state" in reply)) return;
  check(reply.state.peers.length === device.peers.size, "peers were lost on the way");
  for (const p of reply.state.peers) {
    check(p.persistentKeepalive >= 0 && p.persistentKeepalive <= 65_535, "keepalive out of range");
    for (const { ip, prefix } of p.allowedIps) check(prefix >= 0 && prefix <= 8 * ip.length, "prefix out of range");
    check(!p.endpoint || (p.endpoint.port >= 0 && p.endpoint.port <= 65_535), "port out of range");
  }
  check(reply.state.listenPort <= 65_535 && reply.state.fwmark <= 0xffff_ffff, "device key out of range");
}

/** Device's end: any lines end in one of the errno values, and leave a configuration that can be read. */
export const setLines: Fuzzer = {
  name: "configuration protocol, requests",
  start: (dice) => {
    let device = new MemoryDevice();
    return async () => {
      if (device.calls.length > 2000) device = new MemoryDevice();
      const input = dice.chance(0.7) ? dice.mutated(text(dice, 40), SPECIAL) : dice.bytes(dice.below(3000));
      const operation = dice.chance(0.9) ? new SetOperation(device) : new HandshakeOperation(device);
      for (const line of piecewise(dice, input)) if (line.length > 0) await operation.line(line);
      const errno = await operation.end();
      check(answers.has(errno), `errno ${errno}`);
      readable(device);
    };
  },
};

/** Client's end: any answer is a reply or is named as malformed. */
export const replyLines: Fuzzer = {
  name: "configuration protocol, answers",
  start: (dice) => () => {
    const input = dice.chance(0.8) ? dice.mutated(text(dice, 40), SPECIAL) : dice.bytes(dice.below(3000));
    const reader = new ReplyReader();
    for (const line of piecewise(dice, input)) if (line.length > 0) reader.line(line);
    const reply = reader.end();
    check("malformed" in reply || Number.isSafeInteger(reply.errno), "neither reply nor malformed");
    if ("state" in reply) concat(...encodeSet({ peers: reply.state.peers }));
    reader.wipe();
  },
};
