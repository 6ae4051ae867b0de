// Fuzzer of configuration files: whatever is in one, it is refused in wg(8)'s words or gives a configuration that a device takes whole.
import { TortieError } from "../../base/errors.ts";
import type { Dice, Fuzzer } from "../../base/random.cases.ts";
import { encodeSet, Lines, SetOperation } from "../../uapi/codec.ts";
import { MemoryDevice } from "../../uapi/memory.ts";
import { parseUapiEndpoint } from "../../uapi/codec.ts";
import { parseConfig } from "./config.ts";

const KEYS = [
  "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=",
  "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=",
  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
];
const LINES: Readonly<Record<string, readonly string[]>> = {
  "[Interface]": [""],
  "[Peer]": [""],
  "PrivateKey = ": KEYS,
  "ListenPort = ": ["51820", "0", "65536"],
  "FwMark = ": ["off", "0xca6c", "0XCA6C", "4294967296"],
  "PublicKey = ": KEYS,
  "PresharedKey = ": KEYS,
  "AllowedIPs = ": ["10.0.0.0/8, fd00::/64", "", "+10.1.0.0/16,-10.2.0.0/16", "1.2.3.4", "::/0", "10.0.0.1/8"],
  "Endpoint = ": ["192.0.2.1:51820", "[2001:db8::1]:1", "[fe80::1%lo]:2"],
  "PersistentKeepalive = ": ["25", "off", "65536"],
  "# a comment ": ["= [Peer]"],
  "": ["", "  "],
};
const SPECIAL = [...new TextEncoder().encode("\0\n\r\t #%+-,./=[]:09azAZ\x7f")].concat([0xc3, 0xff]);
const NAMES = Object.keys(LINES);

function file(dice: Dice): Uint8Array {
  const lines = Array.from({ length: dice.below(16) }, () => {
    const name = dice.pick(NAMES);
    return name + dice.pick(LINES[name]!);
  });
  const peer = ["[Peer]", `PublicKey = ${KEYS[0]!}`];
  return new TextEncoder().encode([...(dice.chance(0.5) ? peer : []), ...lines].join(dice.chance(0.95) ? "\n" : "\r\n"));
}

/** No name may be looked up: this one is about the grammar. */
function namesAreLiteral(content: Uint8Array): boolean {
  const text = new TextDecoder().decode(content).toLowerCase();
  return text.split("\n").every((raw) => {
    const line = raw.replace(/#.*/s, "").replace(/\s/g, "");
    if (!line.startsWith("endpoint=")) return true;
    const value = line.slice("endpoint=".length);
    return !/:.+$/.test(value) || parseUapiEndpoint(value.replace(/:[^:]*$/, ":1")) !== undefined;
  });
}

export const configurationFiles: Fuzzer = {
  name: "configuration files",
  start: (dice) => async () => {
    const content = dice.chance(0.9) ? dice.mutated(file(dice), SPECIAL) : dice.bytes(dice.below(300));
    if (!namesAreLiteral(content)) return;
    // Host bits are warned of, once for each.
    const write = process.stderr.write.bind(process.stderr);
    process.stderr.write = () => true;
    let config: Awaited<ReturnType<typeof parseConfig>>;
    try {
      config = await parseConfig(content, dice.chance(0.5));
    } catch (thrown) {
      if (thrown instanceof TortieError && /\n(Configuration parsing error|Invalid configuration)$/.test(thrown.message)) return;
      throw thrown;
    } finally {
      process.stderr.write = write;
    }
    if (content.some((b) => b !== 0)) throw new Error("the file's content was not wiped");
    const operation = new SetOperation(new MemoryDevice());
    const lines = new Lines();
    // The first line says that it is a set operation; the last one, empty, ends it.
    let number = 0;
    for (const chunk of encodeSet(config)) for (const line of lines.push(chunk)) if (number++ > 0 && line.length > 0) await operation.line(line);
    const errno = await operation.end();
    if (errno !== 0) throw new Error(`errno ${errno} for a configuration that was accepted`);
  },
};
