// `tortie audit`: proves that no pod packet leaves in the clear, or shows what does. Over the running lab, or over a capture file and an inventory.
import { setTimeout as sleep } from "node:timers/promises";
import { compareIp } from "../base/ip.ts";
import { TortieError } from "../base/errors.ts";
import { Audit, type AuditedFrame, type Source } from "../capture/audit/audit.ts";
import type { Inventory } from "../capture/audit/inventory.ts";
import { EXIT_CODES, FINDINGS, type Precondition } from "../capture/audit/types.ts";
import type { CapturedPacket } from "../capture/packet.ts";
import { PcapngWriter } from "../capture/writer.ts";
import { nodeCrypto } from "../crypto/node.ts";
import { requireLab, type RunningLab } from "../lab/enter.ts";
import { forceHandshake } from "../lab/exercise/devices.ts";
import { Canary } from "./audit/canary.ts";
import { inventoryOfCluster, readInventory } from "./audit/inventory.ts";
import { type Report, reportJson, reportLines } from "./audit/report.ts";
import { captureWires, type WireCapture, wiresOf } from "./audit/wires.ts";
import { readFile, remarks, wantsJson } from "./captures/file.ts";
import { printable } from "./captures/lines.ts";
import { OutputFile } from "./captures/output.ts";
import { integer, onAction, program, runProgram } from "./program.ts";

type Options = { inventory?: string; output?: string; duration: number; write?: string; kubeconfig?: string; salvage?: boolean };

const INVENTORY_HELP = `
An inventory is a JSON file:
  {"wireguardPort": 51820, "overlay": {"vxlan": {"port": 4789}},
   "nodes": [{"name": "k8s-w1", "ips": ["192.168.10.101"], "tunnelIPs": [], "podCIDRs": ["172.16.1.0/24"],
              "wgPublicKey": "BASE64", "wgAllowedIPs": ["172.16.1.0/24"]}],
   "pods": [{"name": "default/pod1", "node": "k8s-w1", "ips": ["172.16.1.2"]}]}

Exit code: 0 clean and proven, 2 pod packets in the clear were found, 3 nothing was found but a proof is not possible, 1 the audit cannot be made.
`;

export async function main(args: string[]): Promise<number> {
  const command = program("tortie audit", "prove that no pod packet leaves in the clear", [
    "tortie audit                                          the running lab: captures on every node's wires while pods talk",
    "tortie audit --duration 20 -o json",
    "tortie audit wire.pcapng --inventory cluster.json     a capture that was made elsewhere",
    "tortie audit wire.pcapng --inventory cluster.json -w marked.pcapng    every packet that leaked carries a comment",
  ])
    .argument("[file]", "a capture of a node's wires; without it the running lab is audited")
    .option("--inventory <file>", "the cluster's nodes, keys, ranges and pods as JSON")
    .option("--duration <seconds>", "how long the lab is watched", integer("a duration", 1, 86_400), 3)
    .option("-w, --write <file>", "write the audited packets; each that leaked carries a comment")
    .option("-o, --output <format>", "json")
    .option("--kubeconfig <file>", "where the API is")
    .option("--salvage", "go on after damage in the file")
    .addHelpText("after", INVENTORY_HELP);
  onAction(command, (file: string | undefined, options: Options) => (file === undefined ? auditLab(options) : auditFile(file, options)));
  return runProgram(command, args);
}

function print(report: Report, json: boolean): number {
  const text = json ? JSON.stringify(reportJson(report), undefined, 2) : reportLines(report).map(printable).join("\n");
  process.stdout.write(`${text}\n`);
  return EXIT_CODES[report.verdict];
}

const trusted = (id: string, what: string, evidence: string): Precondition => ({ id, what, state: "trusted", evidence });

async function auditFile(path: string, options: Options): Promise<number> {
  const json = wantsJson(options.output);
  if (options.inventory === undefined) {
    throw new TortieError(`Cannot audit "${path}" without an inventory: whose are the addresses in it?`, {
      hint: "--inventory FILE; tortie audit --help shows what is in it.",
    });
  }
  const inventory = await readInventory(options.inventory);
  const file = await readFile(path, { salvage: options.salvage ?? false });
  if (file.packets.length === 0 && file.damage.length > 0) throw new TortieError(`Cannot audit "${path}": ${file.damage[0]!.reason}`);
  const audit = new Audit(nodeCrypto, inventory);
  const source = { name: path };
  const frames = file.packets.map((p) => audit.add(p, source));
  for (const s of file.statistics) audit.statistics(s);
  const also: Precondition[] = [
    trusted("P1", "every interface that leads off the node is captured", "the file cannot tell: what was given is believed"),
    trusted("P7", "nothing goes past the capture (XDP, AF_XDP, SR-IOV, offload)", "the file cannot tell"),
    trusted("P8", "the capture's clock fits the inventory", "the file cannot tell"),
    trusted("P9", "a canary was sent and seen where it must be", "none is known of"),
  ];
  if (file.damage.length > 0)
    also.push({ id: "P3b", what: "the file is whole", state: "missing", evidence: `damaged at byte ${file.damage[0]!.offset}` });
  const report: Report = {
    subject: path,
    audit,
    ...audit.verdict(also),
    nodes: inventory.nodes.map((n) => n.name),
    remarks: remarks(file, path, options.salvage ?? false),
  };
  if (options.write !== undefined) {
    writeMarked(
      options.write,
      file.packets.map((packet, i) => ({ packet, source, audited: frames[i] })),
    );
  }
  return print(report, json);
}

async function auditLab(options: Options): Promise<number> {
  const json = wantsJson(options.output);
  const lab = requireLab();
  const inventory = await inventoryOfCluster(
    options.kubeconfig === undefined ? { env: { TORTIE_SOCKET: lab.apiSocket } } : { kubeconfig: options.kubeconfig },
  );
  const canary = new Canary();
  let sent: Awaited<ReturnType<Canary["run"]>> | undefined;
  const wires = await wiresOf(lab);
  process.stderr.write(`Capturing on ${wires.map((w) => `${w.node}/${w.name}`).join(", ")} …\n`);
  const captures = await captureWires(lab, wires, async () => {
    const until = Date.now() + options.duration * 1000;
    await freshHandshakes(lab, inventory);
    sent = await canary.run(lab);
    await sleep(Math.max(0, until - Date.now()));
  });
  const audit = new Audit(
    nodeCrypto,
    inventory,
    captures.map((c) => c.node),
  );
  const all = inOrder(captures);
  const frames = all.map(({ packet, source }) => audit.add(packet, source));
  for (const c of captures) for (const s of c.file.statistics) audit.statistics(s);
  const hits = captures.flatMap((c) => canary.hits(c.file).map((frame) => ({ source: `${c.node}/${c.name}`, frame })));
  const pairs = sent?.pairs ?? [];
  const silent = pairs.filter((p) => p.received === 0);
  const broken = captures.filter((c) => c.broken !== undefined);
  const damaged = captures.filter((c) => c.broken === undefined && c.file.damage.length > 0);
  const also: Precondition[] = [
    {
      id: "P1",
      what: "every interface that leads off a node is captured",
      state: broken.length === 0 ? "ok" : "missing",
      evidence:
        broken.length === 0
          ? captures.map((c) => `${c.node}/${c.name}`).join(", ")
          : broken.map((c) => `the capture on ${c.node}/${c.name} broke off: ${c.broken}`).join("; "),
    },
    { id: "P2", what: "no capture filter", state: "ok", evidence: "captured by this command, without one" },
    { id: "P7", what: "nothing goes past the capture (XDP, AF_XDP, SR-IOV, offload)", state: "ok", evidence: "the lab's wires are veth pairs" },
    { id: "P8", what: "the captures' clocks agree", state: "ok", evidence: "one machine" },
    {
      id: "P9",
      what: "marked datagrams between pods arrived",
      state: pairs.length > 0 && silent.length === 0 ? "ok" : "missing",
      evidence:
        pairs.length === 0
          ? `no pair of pods on different nodes${sent && sent.errors.length > 0 ? `: ${sent.errors.join("; ")}` : ""}`
          : silent.length > 0
            ? `none from ${silent.map((p) => `${p.from} to ${p.to}`).join(", ")}`
            : `${pairs.length} pairs, also in fragments and to a closed port`,
    },
  ];
  if (damaged.length > 0) also.push({ id: "P3b", what: "the captures are whole", state: "missing", evidence: damaged.map((c) => c.node).join(", ") });
  const judged = audit.verdict(also);
  const report: Report = {
    subject: "the lab",
    audit,
    // A marker in the clear is exposure also where no rule names it.
    verdict: hits.length > 0 ? "FAIL" : judged.verdict,
    preconditions: judged.preconditions,
    nodes: inventory.nodes.map((n) => n.name),
    canary: { sent: pairs.reduce((n, p) => n + p.sent, 0), received: pairs.reduce((n, p) => n + p.received, 0), hits: hits.slice(0, 100) },
    remarks: [],
  };
  if (options.write !== undefined)
    writeMarked(
      options.write,
      all.map((a, i) => ({ ...a, audited: frames[i] })),
    );
  return print(report, json);
}

/** New sessions at the start, so that every data message's index is announced within the window. One side of each pair asks: the lower key. */
async function freshHandshakes(lab: RunningLab, inventory: Inventory): Promise<void> {
  if (!inventory.encryption) return;
  const keys = inventory.nodes.flatMap((n) => (n.publicKey ? [{ name: n.name, key: n.publicKey }] : []));
  for (const node of lab.nodes) {
    const own = keys.find((k) => k.name === node.name)?.key;
    const higher = own ? keys.filter((k) => compareIp(own, k.key) < 0).map((k) => k.key) : [];
    // A device that does not answer is no reason to stop: its traffic is judged all the same.
    if (higher.length > 0) await forceHandshake(lab, node, higher).catch(() => {});
  }
  await sleep(300);
}

type Seen = { readonly packet: CapturedPacket; readonly source: Source };
const inOrder = (captures: readonly WireCapture[]): Seen[] =>
  captures
    .flatMap((c) => c.file.packets.map((packet) => ({ packet, source: { name: `${c.node}/${c.name}`, node: c.node } })))
    .sort((a, b) => Number((a.packet.time ?? 0n) - (b.packet.time ?? 0n)));

/** All packets with their capture points; findings carry a comment. */
function writeMarked(path: string, frames: readonly (Seen & { readonly audited: AuditedFrame | undefined })[]): void {
  const file = new OutputFile(path);
  try {
    const writer = new PcapngWriter(file.write);
    const interfaces = new Map<string, number>();
    for (const { packet, source } of frames) {
      const id = `${source.name} ${packet.iface.id}`;
      if (!interfaces.has(id))
        interfaces.set(
          id,
          writer.addInterface({
            link: packet.iface.link,
            snaplen: packet.iface.snaplen,
            name: packet.iface.name ?? source.name,
            description: source.name,
          }),
        );
    }
    for (const { packet, source, audited } of frames) {
      const c = audited?.classified;
      const leak = c && FINDINGS.has(c.class) ? [`LEAK ${c.class} cause=${audited.cause ?? "UNKNOWN"}`] : [];
      writer.packet(interfaces.get(`${source.name} ${packet.iface.id}`)!, {
        time: packet.time ?? 0n,
        data: packet.data,
        originalLength: packet.originalLength,
        comments: [...packet.comments, ...leak],
        ...(packet.direction ? { direction: packet.direction } : {}),
      });
    }
  } finally {
    file.close();
  }
}
