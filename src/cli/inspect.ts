// `tortie inspect FILE`: what is in a capture; with keys, the outer and the inner packet side by side.
import { toHex } from "../base/bytes.ts";
import { formatIp } from "../base/ip.ts";
import { displayFilter } from "../capture/display.ts";
import { dissect } from "../capture/dissect.ts";
import { formatTime } from "../capture/moment.ts";
import { lookupOf } from "../capture/names.ts";
import type { Secrets } from "../capture/secrets.ts";
import { linesOf } from "../capture/summary.ts";
import { type TrackedPacket, Tracker } from "../capture/tracker.ts";
import { treeLines, type TreeNode } from "../capture/tree.ts";
import { nodeCrypto } from "../crypto/node.ts";
import { linkName } from "../packet/link.ts";
import { readFile, remarks, wantsJson } from "./captures/file.ts";
import { namesFrom, readKeys, secretsFrom } from "./captures/keys.ts";
import { hexRows, packetLines, printable, sideBySide } from "./captures/lines.ts";
import { integer, onAction, program, runProgram } from "./program.ts";

type Options = {
  keys?: string;
  inventory?: string;
  cluster?: boolean;
  V?: boolean;
  hex?: boolean;
  Y?: string;
  output?: string;
  salvage?: boolean;
  frame?: number;
};

export async function main(args: string[]): Promise<number> {
  const command = program("tortie inspect", "what is in a capture file; a packet that keys open is shown outside and inside", [
    "tortie inspect capture.pcapng                    one line a packet, the inner packet under the outer one",
    "tortie inspect capture.pcap --keys wg.keys -V    every field, outer and inner tree",
    "tortie inspect capture.pcapng --frame 12 --hex   the bytes of packet 12, outer and inner side by side",
    "tortie inspect capture.pcap -Y 'wg.type == 1'    only these packets",
    "tortie inspect broken.pcapng --salvage           go on after damage",
  ])
    .argument("<file>", 'pcap or pcapng, also gzipped; "-" reads standard input')
    .option("--keys <file>", "key log, or private keys; the file's own key blocks are used in any case")
    .option("-V", "every field of every packet")
    .option("--hex", "the bytes too")
    .option("-Y <filter>", "only packets that this display filter matches, with Wireshark's field names")
    .option("--frame <number>", "only this packet", integer("the number of a packet", 1, 2 ** 40))
    .option("--inventory <file>", "names of nodes for their public keys, as for tortie audit")
    .option("--cluster", "names of nodes from the API")
    .option("-o, --output <format>", "json")
    .option("--salvage", "after damage go on at the next block or record that is whole");
  onAction(command, (file: string, options: Options) => inspect(file, options));
  return runProgram(command, args);
}

async function inspect(path: string, options: Options): Promise<number> {
  const json = wantsJson(options.output);
  const filter = options.Y === undefined ? undefined : displayFilter(options.Y);
  const logs = options.keys === undefined ? [] : [await readKeys(options.keys)];
  const file = await readFile(path, { salvage: options.salvage ?? false });
  const secrets = secretsFrom(file.secrets, logs);
  (await namesFrom(options))(secrets);
  const tracker = new Tracker(nodeCrypto, secrets);
  tracker.learn(file.packets.map((p) => tracker.handshakeIn(p)).filter((m) => m !== undefined));
  const all = file.packets.map((p) => tracker.add(p));
  const first = file.packets.find((p) => p.time !== undefined)?.time;
  const shown = all.filter(
    (t) => (options.frame === undefined || t.packet.number === options.frame) && (!filter || filter(lookupOf(t, secrets, first))),
  );
  if (json) {
    const document = {
      file: path,
      format: file.format ?? null,
      interfaces: file.interfaces.map((i) => ({
        id: i.id,
        name: i.name ?? null,
        description: i.description ?? null,
        link: linkName(i.link),
        snaplen: i.snaplen,
      })),
      names: file.names.map((n) => ({ address: formatIp(n.ip), names: n.names })),
      statistics: file.statistics.map((s) => ({
        interface: s.iface.id,
        received: s.received?.toString() ?? null,
        dropped: (s.osDropped ?? s.dropped)?.toString() ?? null,
      })),
      packets: shown.map((t) => packetJson(t, secrets, first)),
      damage: file.damage,
      notes: file.notes,
    };
    process.stdout.write(`${JSON.stringify(document, undefined, 2)}\n`);
  } else {
    for (const t of shown) process.stdout.write(`${render(t, secrets, first, options).join("\n")}\n`);
  }
  for (const line of remarks({ ...file, packets: file.packets.length }, path, options.salvage ?? false)) process.stderr.write(`${printable(line)}\n`);
  return file.damage.length > 0 ? 1 : 0;
}

const COLUMN = 74;
function render(t: TrackedPacket, secrets: Secrets, first: bigint | undefined, options: Options): string[] {
  if (!options.V && !options.hex) return packetLines(t, first).map(printable);
  const d = dissect(t, secrets, first);
  const left: string[] = options.V ? treeLines(d.outer) : packetLines(t, first).slice(0, 1);
  const right: string[] = d.inner.flatMap((i) => (options.V ? treeLines(i.tree) : []));
  const lines = options.V ? sideBySide(left.map(printable), right.map(printable), COLUMN) : left.map(printable);
  if (!options.hex) return [...lines, ""];
  const outer = ["Frame", ...hexRows(t.packet.data)];
  const inner = t.messages.flatMap((m) => (m.opened && m.opened.bytes.length > 0 ? ["Decrypted packet", ...hexRows(m.opened.bytes)] : []));
  return [...lines, ...sideBySide(outer, inner, COLUMN), ""];
}

function packetJson(t: TrackedPacket, secrets: Secrets, first: bigint | undefined): unknown {
  const { outer, inner } = linesOf(t);
  const d = dissect(t, secrets, first);
  const opened = t.messages.filter((m) => m.opened && m.opened.bytes.length > 0);
  return {
    number: t.packet.number,
    time: t.packet.time === undefined ? null : formatTime(t.packet.time),
    interface: t.packet.iface.id,
    direction: t.packet.direction ?? null,
    length: t.packet.originalLength,
    captured: t.packet.data.length,
    ...outer,
    comments: t.packet.comments,
    fields: fieldsOf(d.outer),
    inner: inner.map((s, i) => ({
      ...s,
      length: opened[i]!.opened!.bytes.length,
      authenticated: opened[i]!.opened!.authenticated,
      fields: fieldsOf(d.inner[i]!.tree),
      bytes: toHex(opened[i]!.opened!.bytes),
    })),
  };
}

/** Fields by name; one that occurs several times has a list. */
function fieldsOf(tree: readonly TreeNode[]): Record<string, string | string[]> {
  const out: Record<string, string | string[]> = {};
  const walk = (n: TreeNode): void => {
    if (n.field !== undefined && n.value !== undefined) {
      const before = out[n.field];
      out[n.field] = before === undefined ? n.value : [...(Array.isArray(before) ? before : [before]), n.value];
    }
    n.children?.forEach(walk);
  };
  tree.forEach(walk);
  return out;
}
