// The commands: name, one line, where it is. Help is printed from this table.

export interface CommandModule {
  /** Runs with the words after the command's name; the result is the exit code. Throws TortieError for what a person should read. */
  main(args: string[]): Promise<number>;
}
type Load = () => Promise<CommandModule>;
export type CommandEntry = { readonly name: string; readonly group: string; readonly summary: string; readonly load: Load };

const RESOURCES = "Resources (as calicoctl)";
const resources: Load = () => import("./calicoctl/main.ts");
// calicoctl's own words: the verb stays in front.
const verb = (name: string, summary: string): CommandEntry => ({
  name,
  group: RESOURCES,
  summary,
  load: async () => ({ main: async (args) => (await resources()).main([name, ...args]) }),
});

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: "lab",
    group: "Lab",
    summary: "a cluster of four nodes on this machine: up, down, exercise, shell, exec, kill",
    load: () => import("./lab.ts"),
  },
  { name: "server", group: "Daemons", summary: "the API server", load: () => import("./server.ts") },
  { name: "agent", group: "Daemons", summary: "the agent of one node", load: () => import("./agent.ts") },
  { name: "device", group: "Daemons", summary: "a userspace WireGuard device", load: () => import("./device.ts") },
  { name: "wg", group: "Device", summary: "wg(8): show, set, setconf, genkey and the others", load: () => import("./wg/main.ts") },
  { name: "status", group: "Proof", summary: "is the cluster encrypted? one screen", load: () => import("./status.ts") },
  { name: "audit", group: "Proof", summary: "prove that no pod packet leaves in the clear", load: () => import("./audit.ts") },
  { name: "ping", group: "Proof", summary: "ping, also from a node of the cluster (--node)", load: () => import("./ping.ts") },
  { name: "capture", group: "Captures", summary: "capture packets, with the keys to open them on request", load: () => import("./capture.ts") },
  { name: "inspect", group: "Captures", summary: "what is in a capture file", load: () => import("./inspect.ts") },
  { name: "view", group: "Captures", summary: "a capture on the whole terminal, also live", load: () => import("./view.ts") },
  { name: "decrypt", group: "Captures", summary: "open a capture, or say why it does not open", load: () => import("./decrypt.ts") },
  {
    name: "keylog",
    group: "Captures",
    summary: "the keys of handshakes, of our device or of the kernel's WireGuard",
    load: () => import("./keylog.ts"),
  },
  verb("get", "print resources"),
  verb("patch", "change fields of a resource"),
  verb("apply", "create or update from a file"),
  verb("create", "create from a file"),
  verb("replace", "replace from a file"),
  verb("delete", "delete resources"),
  verb("label", "set or remove a label"),
  verb("validate", "check a file without asking a server"),
  verb("convert", "manifests of calicoctl v1 as resources of today"),
  verb("ipam", "addresses: show, check, release, split, configure"),
  verb("datastore", "migrate: lock, export, import, unlock"),
  verb("node", "status: does the agent of this node run, and its BGP sessions?"),
  { name: "explain", group: RESOURCES, summary: "what a kind and its fields are", load: () => import("./explain.ts") },
];

/** The program acts as these when it is called by their name. */
export const PERSONALITIES: ReadonlyMap<string, Load> = new Map<string, Load>([
  ["wg", () => import("./wg/main.ts")],
  ["calicoctl", resources],
  ["kubectl", () => import("./kubectl.ts")],
  ["tcpdump", () => import("./tcpdump.ts")],
  ["tshark", () => import("./tshark.ts")],
  ["ping", () => import("./ping.ts")],
  // One word that takes an interface: what WG_QUICK_USERSPACE_IMPLEMENTATION wants, and what wg-quick runs without it.
  ["tortie-device", () => import("./device.ts")],
  ["wireguard-go", () => import("./device.ts")],
]);
