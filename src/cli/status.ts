// tortie status: is the cluster encrypted? One screen.
import { type ClusterStatus, clusterStatus, type Encrypts } from "../agent/calc/status.ts";
import { FELIX_CONFIGURATION } from "../api/felixconfiguration.ts";
import { NODE } from "../api/node.ts";
import { NODE_ENCRYPTION, type NodeEncryption } from "../api/nodeencryption.ts";
import { TortieError } from "../base/errors.ts";
import { isNotFound } from "../client/error.ts";
import type { Client } from "../client/types.ts";
import { printable } from "./captures/printable.ts";
import { connect } from "./connect.ts";
import { onAction, program, runProgram } from "./program.ts";

const LABEL = 17;
const WIDTH = 80;

type Paint = (colour: "green" | "yellow" | "red" | "bold" | "dim", text: string) => string;
const CODES = { green: 32, yellow: 33, red: 31, bold: 1, dim: 2 } as const;
const painter =
  (on: boolean): Paint =>
  (colour, text) =>
    on ? `\x1b[${CODES[colour]}m${text}\x1b[0m` : text;

/** "3 s ago". */
export function ago(at: string, now: number): string {
  const s = Math.max(0, Math.round((now - Date.parse(at)) / 1000));
  if (s < 120) return `${s} s ago`;
  if (s < 7200) return `${Math.round(s / 60)} min ago`;
  return s < 172_800 ? `${Math.round(s / 3600)} h ago` : `${Math.round(s / 86_400)} days ago`;
}

const COLOUR: Readonly<Record<Encrypts, "green" | "yellow" | "red" | "dim">> = { on: "green", starting: "yellow", off: "red", "not watched": "dim" };

/** Breaks a sentence at spaces; continued lines are indented. What others wrote must not steer a terminal. */
function wrap(text: string, indent: number): string {
  const lines = [""];
  for (const word of printable(text).split(" ")) {
    const line = lines.at(-1)!;
    if (line !== "" && indent + line.length + 1 + word.length > WIDTH) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines.join(`\n${" ".repeat(indent)}`);
}

function parts(s: ClusterStatus["pairs"]): string {
  const words = [
    [s.idle, "idle"],
    [s.waiting, "waiting for a handshake"],
    [s.plain, "in the clear"],
    [s.notWatched, "not watched"],
  ] as const;
  const named = words.filter(([n]) => n > 0).map(([n, what]) => `${n} ${what}`);
  return named.length > 0 ? ` (${named.join(", ")})` : "";
}

/** The screen, without the last line's end. */
export function renderStatus(s: ClusterStatus, now: number, colours: boolean): string {
  const paint = painter(colours);
  const line = (label: string, text: string): string => paint("bold", label.padEnd(LABEL)) + wrap(text, LABEL);
  const { total, encrypting, notWatched } = s.nodes;
  const on = `on ${encrypting} of ${total} nodes${notWatched > 0 ? ` (${notWatched} not watched)` : ""}`;
  const { at, nodes, watched } = s.latestHandshake;
  const last =
    at !== null ? `${ago(at, now)}, ${nodes!.join(" and ")}` : !watched ? "not watched" : encrypting === 0 ? "none: encryption is off" : "none yet";
  const up = s.pairs.up + s.pairs.idle;
  const width = Math.max(4, ...s.perNode.map((n) => n.node.length)) + 3;
  const rows = s.perNode.map((n) => {
    const peers = n.peers === null ? "not watched" : `${n.peersUp} of ${n.peers}`;
    const key = n.publicKey === null ? "<none>" : `${printable(n.publicKey.slice(0, 12))}…`;
    const report = n.reportedAt === null ? "not watched" : ago(n.reportedAt, now);
    return n.node.padEnd(width) + paint(COLOUR[n.encryption], n.encryption.padEnd(14)) + key.padEnd(17) + peers.padEnd(14) + report;
  });
  return [
    line("Encryption", on),
    line("Mode", `${s.mode}: a node without a key is reached in the clear`),
    line("Pairs", `${up} of ${s.pairs.total} up${parts(s.pairs)}`),
    line("Last handshake", last),
    line("Clear packets", `${s.lastClearPacket}; tortie audit looks at the wires`),
    "",
    paint("bold", `${"NODE".padEnd(width)}${"ENCRYPTION".padEnd(14)}${"KEY".padEnd(17)}${"PEERS UP".padEnd(14)}REPORT`),
    ...rows,
    "",
    ...(s.warnings.length === 0 ? ["No warnings"] : [paint("yellow", "Warnings"), ...s.warnings.map((w) => `  ${wrap(w, 4)}`)]),
  ].join("\n");
}

type Options = { output?: string; kubeconfig?: string; context?: string };

const NO_REPORTS =
  "nodes cannot report to this cluster, which has no kind NodeEncryption: settings and keys are all that is seen (kubectl apply -f docs/reference/crds/nodeencryptions.tortie.io.yaml defines it)";

/** The nodes' reports; undefined on a cluster that does not have them. */
async function reportsIn(client: Client): Promise<readonly NodeEncryption[] | undefined> {
  try {
    return (await client.list(NODE_ENCRYPTION)).items;
  } catch (thrown) {
    if (isNotFound(thrown)) return undefined;
    throw thrown;
  }
}

async function show(options: Options): Promise<number> {
  if (options.output !== undefined && options.output !== "json")
    throw new TortieError(`Cannot print the status as "${options.output}": the only other form is json`);
  const client = await connect(options);
  try {
    const [nodes, felixConfigurations, reports] = await Promise.all([client.list(NODE), client.list(FELIX_CONFIGURATION), reportsIn(client)]);
    const now = Date.now();
    const known = clusterStatus({ nodes: nodes.items, felixConfigurations: felixConfigurations.items, reports: reports ?? [], now });
    const status = reports ? known : { ...known, warnings: [NO_REPORTS, ...known.warnings] };
    const text = options.output === "json" ? JSON.stringify(status, null, 2) : renderStatus(status, now, process.stdout.isTTY === true);
    process.stdout.write(`${text}\n`);
    return 0;
  } finally {
    await client.close();
  }
}

export async function main(args: string[]): Promise<number> {
  const command = program("tortie status", "Is the cluster encrypted? One screen, from what the nodes report", [
    "tortie status",
    "tortie status -o json | jq .pairs",
  ])
    .option("-o, --output <form>", "json")
    .option("--kubeconfig <file>", "where the API is")
    .option("--context <name>", "context of the kubeconfig");
  onAction(command, show);
  return runProgram(command, args);
}
