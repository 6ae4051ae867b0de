// `tortie audit`: proves that no pod packet leaves in the clear, or shows what does: over the running lab, this host, or captures and an inventory.
import { readFile, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { text } from "node:stream/consumers";
import { Option } from "commander";
import { messageOf, TortieError } from "../base/errors.ts";
import { Inventory, type InventoryDocument } from "../capture/audit/inventory.ts";
import { type AuditReport, reportJson } from "../capture/audit/report.ts";
import { PRECONDITIONS } from "../capture/audit/types.ts";
import { obey } from "./audit/bypass.ts";
import { recordHost } from "./audit/host.ts";
import { reportHtml } from "./audit/html.ts";
import { readDocument } from "./audit/inventory.ts";
import { recordLab } from "./audit/lab.ts";
import type { Recorded } from "./audit/live.ts";
import { auditFiles, type Input } from "./audit/run.ts";
import { reportLines } from "./audit/text.ts";
import type { KeyLog } from "../capture/keylog.ts";
import { readKeys } from "./captures/keys.ts";
import { wantsJson } from "./captures/file.ts";
import { printable } from "./captures/printable.ts";
import { integer, onAction, program, runProgram } from "./program.ts";

type Options = {
  inventory?: string;
  conntrack?: string[];
  trust?: string[];
  keys?: string[];
  output?: string;
  html?: string;
  write?: string;
  save?: string;
  duration: number;
  kubeconfig?: string;
  salvage?: boolean;
  host?: boolean;
  podCidr?: string[];
  canary?: string[];
  canaryFrom?: number;
  hostEncryption?: boolean;
  sendControl?: boolean;
  node?: string;
};

const HELP = `
An inventory is a JSON file (docs/audit.md has every field; --save writes one with all the evidence of a live audit):
  {"wireguardPort": 51820, "overlay": {"vxlan": {"port": 4789}},
   "nodes": [{"name": "k8s-w1", "ips": ["192.168.10.101"], "tunnelIPs": [], "podCIDRs": ["172.16.1.0/24"],
              "wgPublicKey": "BASE64", "wgAllowedIPs": ["172.16.1.0/24"]}],
   "pods": [{"name": "default/pod1", "node": "k8s-w1", "ips": ["172.16.1.2"]}]}

Exit code: 0 clean and proven, 2 pod packets in the clear were found, 3 nothing was found but a proof is not possible, 1 the audit cannot be made.
`;
const several = (text: string, before: string[] = []): string[] => [...before, text];
const list = (text: string, before: string[] = []): string[] => [...before, ...text.split(",")];

export async function main(args: string[]): Promise<number> {
  const command = program("tortie audit", "prove that no pod packet leaves in the clear", [
    "tortie audit                                          the running lab: captures on every node's wires while pods talk",
    "tortie audit --duration 20 --html report.html -o json",
    "tortie audit --save run1                              keep captures and inventory; then: tortie audit run1/wire-*.pcapng --inventory run1/inventory.json",
    "tortie audit wire.pcapng --inventory cluster.json     a capture that was made elsewhere",
    "tortie audit node-a=a.pcap node-b=b.pcap --inventory cluster.json --conntrack node-a=nf_conntrack.txt",
    "tortie audit wire.pcapng --inventory cluster.json -w marked.pcapng    every packet that leaked carries a comment",
    "tortie audit --host --pod-cidr 10.1.0.0/24 --canary 10.2.0.5          this machine: its devices, its links",
    "tortie audit --node k8s-w1 --pod-cidr 10.1.0.0/24                     the same on another node of the cluster, through its agent",
  ])
    .argument("[files...]", "captures of nodes' wires, each as FILE or NODE=FILE; without one the running lab is audited")
    .option("--inventory <file>", "the cluster's nodes, keys, ranges and pods as JSON")
    .option("--conntrack <node=file>", "a node's translated flows: /proc/net/nf_conntrack, or what `conntrack -L` printed", several)
    .option("--trust <list>", "vouch for preconditions that cannot be checked, such as P1,P7", list)
    .option("--keys <file>", "a key log: data that it opens is opened, its tag and its sender's addresses are checked; - is standard input", several)
    .option("--host", "audit this machine instead of a lab")
    .option("--node <name>", "audit this node of the cluster, through its agent, as --host does there")
    .option("--pod-cidr <range>", "with --host: a range of pods, here or elsewhere, that must go through a tunnel", several)
    .option("--canary <address>", "with --host: send marked packets to this address of a peer", several)
    .option("--canary-from <pid>", "with --host: send them from the network namespace of this process, a pod's", integer("a process", 1, 2 ** 22))
    .option("--host-encryption", "with --host: packets between nodes themselves and pods are claimed to be encrypted too")
    .option("--duration <seconds>", "how long the lab or the host is watched", integer("a duration", 1, 86_400), 3)
    .option("--save <directory>", "keep what was captured, with an inventory that holds the evidence")
    .option(
      "-w, --write <file>",
      'write the audited packets as pcapng; each that leaked carries a comment (Wireshark: frame.comment contains "LEAK")',
    )
    .option("--html <file>", "write the report as one page")
    .option("-o, --output <format>", "json")
    .option("--kubeconfig <file>", "where the API is")
    .option("--salvage", "go on after damage in a file")
    .addOption(new Option("--send-control").hideHelp())
    .addHelpText("after", HELP);
  onAction(command, audit);
  return runProgram(command, args);
}

async function audit(files: string[], options: Options): Promise<number> {
  if (options.sendControl) {
    process.stdout.write(obey(await text(process.stdin)));
    return 0;
  }
  if (options.node !== undefined) return onNode(options.node, files, options);
  refuseMixed(files, options);
  const json = wantsJson(options.output);
  const trusted = new Set(options.trust);
  for (const id of trusted)
    if (!(id in PRECONDITIONS)) throw new TortieError(`Cannot vouch for "${id}": it must be one of ${Object.keys(PRECONDITIONS).join(", ")}`);
  const keys: KeyLog[] = [];
  for (const path of options.keys ?? []) keys.push(await readKeys(path));
  const recorded = await record(files, options);
  try {
    const report = await auditFiles(recorded.inputs, {
      subject: recorded.subject,
      inventory: new Inventory(recorded.document),
      trusted,
      write: options.write,
      salvage: options.salvage ?? false,
      ...(keys.length > 0 ? { keys } : {}),
    });
    if (options.html !== undefined) await writePage(options.html, report);
    process.stdout.write(`${json ? JSON.stringify(reportJson(report), undefined, 2) : reportLines(report).map(printable).join("\n")}\n`);
    return report.exitCode;
  } finally {
    recorded.forget();
  }
}

async function onNode(node: string, files: string[], options: Options): Promise<number> {
  const foreign = ["inventory", "conntrack", "trust", "keys", "html", "write", "save", "salvage", "host", "canaryFrom", "hostEncryption"] as const;
  const found = files.length > 0 ? "a capture" : foreign.find((name) => options[name] !== undefined);
  if (found !== undefined)
    throw new TortieError(`Cannot use ${found.replace(/^(?!a )/, "--").replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)} with --node`, {
      hint: "It takes --pod-cidr, --canary, --duration, -o json and --kubeconfig.",
    });
  const { runTask } = await import("./onnode.ts");
  const json = wantsJson(options.output) ? { json: true as const } : {};
  const task = { type: "audit", seconds: options.duration, podCidrs: options.podCidr ?? [], canaries: options.canary ?? [], ...json } as const;
  return runTask(node, task, { kubeconfig: options.kubeconfig, stdout: (data) => void process.stdout.write(data) });
}

/** An option of another subject would go by unheard. */
function refuseMixed(files: string[], options: Options): void {
  const subject = options.host ? "--host" : files.length > 0 ? "captures" : "the lab";
  const foreign = {
    "the lab": ["inventory", "conntrack", "podCidr", "canary", "canaryFrom", "hostEncryption"],
    "--host": ["inventory", "conntrack", "kubeconfig"],
    captures: ["podCidr", "canary", "canaryFrom", "hostEncryption", "kubeconfig", "save"],
  } as const;
  const found = foreign[subject].find((name) => options[name] !== undefined);
  if (found === undefined) return;
  const flag = `--${found.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`;
  throw new TortieError(`Cannot use ${flag} in an audit of ${subject === "--host" ? "this machine" : subject}`, {
    hint: "tortie audit --help tells what each option belongs to.",
  });
}

function record(files: string[], options: Options): Promise<Recorded> {
  const { duration, save, kubeconfig } = options;
  const live = { duration, save, say: (text: string): void => void process.stderr.write(`${text}\n`) };
  if (options.host) {
    if (files.length > 0) throw new TortieError("Cannot audit files and this host at once: leave --host or the files away");
    const { podCidr: podCidrs = [], canary = [], canaryFrom: from, hostEncryption } = options;
    return recordHost({ ...live, podCidrs, canary, from, hostEncryption });
  }
  return files.length > 0 ? given(files, options) : recordLab({ ...live, kubeconfig });
}

/** Captures that were made elsewhere. */
async function given(files: string[], options: Options): Promise<Recorded> {
  if (options.inventory === undefined) {
    throw new TortieError(`Cannot audit "${files[0]}" without an inventory: whose are the addresses in it?`, {
      hint: "--inventory FILE; tortie audit --help shows what is in it.",
    });
  }
  const document = await readDocument(options.inventory);
  const tables: Record<string, string> = { ...document.conntrack };
  for (const word of options.conntrack ?? []) {
    const [, node, path] = /^([^=]+)=(.+)$/.exec(word) ?? [];
    if (node === undefined || path === undefined) throw new TortieError(`Cannot use "${word}" as a NAT table: it must be NODE=FILE`);
    tables[node] = await readFile(path, "utf8").catch((e: unknown) => {
      throw new TortieError(`Cannot read the NAT table "${path}": ${messageOf(e)}`, { cause: e });
    });
  }
  const whole = { ...document, conntrack: tables };
  // Checked as a whole before a file is opened.
  const { nodes } = new Inventory(whole);
  const inputs = files.map((word): Input =>
    inputOf(
      word,
      document,
      nodes.map((n) => n.name),
    ),
  );
  return { subject: files.join(", "), inputs, document: whole, forget: () => {} };
}

/** NODE=FILE; a file that --save wrote is named after its node; one capture of the only node that was observed is that node's. */
function inputOf(word: string, document: InventoryDocument, nodes: readonly string[]): Input {
  const [, before, after] = /^([^=/]+)=(.+)$/.exec(word) ?? [];
  if (before !== undefined && after !== undefined && nodes.includes(before)) return named(after, before, document);
  const saved = /(?:^|\/)wire-([^/]+)\.pcapng$/.exec(word)?.[1];
  const only = document.observed?.length === 1 && document.observed[0]!.links.length > 0 ? document.observed[0]!.node : undefined;
  const node = saved !== undefined && nodes.includes(saved) ? saved : only;
  return node === undefined ? { name: basename(word), path: word } : named(word, node, document);
}
/** A pcap file does not tell its link: it is the node's only wire, when it has but one. */
function named(path: string, node: string, document: InventoryDocument): Input {
  const wires = document.observed?.find((o) => o.node === node)?.links.filter((l) => l.role === "wire") ?? [];
  const link = path.endsWith(".pcapng") || wires.length !== 1 ? {} : { link: wires[0]!.name };
  return { name: node, path, node, ...link };
}

async function writePage(path: string, report: AuditReport): Promise<void> {
  await writeFile(path, reportHtml(report), { mode: 0o600 }).catch((e: unknown) => {
    throw new TortieError(`Cannot write the report "${path}": ${messageOf(e)}`, { cause: e });
  });
}
