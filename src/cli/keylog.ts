// `tortie keylog`: the keys of each handshake that this machine makes, as they are made: of our own device through its control socket, of the kernel's WireGuard by
// probes. Whoever has them reads the traffic, so this is loud, into a file of its owner's alone, and ends by itself when told for how long.
import { toBase64 } from "../base/bytes.ts";
import { TortieError } from "../base/errors.ts";
import { forbidDumps } from "../sys/protect.ts";
import { type KeyOutput, keyOutput, sayOn } from "./keylog/output.ts";
import { duration, onAction, peerKey, program, runProgram } from "./program.ts";

type Options = {
  kernel?: boolean;
  interface?: string;
  write?: string;
  for?: number;
  peer: Uint8Array[];
  existing?: boolean;
  check?: boolean;
  off?: boolean;
  output?: string;
  node?: string;
  kubeconfig?: string;
};

export async function main(args: string[]): Promise<number> {
  const command = program("tortie keylog", "the keys of handshakes, as they are made: for Wireshark, tortie inspect and tortie decrypt", [
    "tortie keylog -i wg0 -w wg.keys --for 10m                  of our device, for ten minutes",
    "tortie keylog -i wg0 --off                                 end every key log of our device, also WG_KEYLOGFILE's",
    "tortie keylog --kernel -w wg.keys --for 10m                of the kernel's own WireGuard, all interfaces",
    "tortie keylog --kernel -i wg0 --existing -w wg.keys        of wg0, with the keys of the sessions that it has now",
    "tortie keylog --node k8s-w1 -w w1.keys --for 10m           of the device of another node, through its agent",
    "tortie keylog --kernel --check                             can this kernel be asked? what is missing, what to do",
    "tortie decrypt capture.pcap --keys wg.keys -w open.pcapng  then: a file that Wireshark opens decrypted",
  ])
    .option("--kernel", "of the kernel's own WireGuard, by probes (Linux 5.6 or later, root, x86-64 or arm64)")
    .option("-i, --interface <name>", "the device; not needed when there is one only, or for all of the kernel's")
    .option("-w, --write <file>", "append to this file (mode 0600); - is standard output")
    .option("--for <time>", "end after so long: 30s, 10m, 2h", duration("a time"))
    .option("--peer <key>", "only handshakes with the peer of this public key; may be repeated", peerKey, [])
    .option("--existing", "also the keys of sessions that exist already (Wireshark cannot use them; tortie can)")
    .option("--node <name>", "on this node of the cluster, through its agent; wants --for")
    .option("--kubeconfig <file>", "with --node: where the API is")
    .option("--check", "with --kernel: only say whether it can be done")
    .option("--off", "end the key logs of our device")
    .option("-o, --output <format>", "with --check: json")
    .addHelpText(
      "after",
      "\nWhoever has these keys reads the traffic; with the private key among them also poses as this node: docs/keys.md.\nExit code: 0 done, 1 it could not be done; --check: 0 it can be done, 2 it cannot.\n",
    );
  onAction(command, keylog);
  return runProgram(command, args);
}

async function keylog(options: Options): Promise<number> {
  if (options.check) {
    if (!options.kernel) throw new TortieError("Cannot check: there is nothing to check but the kernel", { hint: "tortie keylog --kernel --check" });
    return (await import("./keylog/check.ts")).check(options.output);
  }
  if (options.off) {
    if (options.kernel) throw new TortieError("Cannot end it: a key log of the kernel ends with the command that keeps it");
    return (await import("./keylog/device.ts")).endKeylogs(options.interface);
  }
  if (options.write === undefined && process.stdout.isTTY)
    throw new TortieError("Cannot print keys on a terminal, where they stay", { hint: "-w FILE says where to; -w - prints them all the same." });
  // What these commands hold is in no core dump, and only root reads their memory.
  forbidDumps();
  const output = keyOutput(options.write ?? "-");
  if (options.node !== undefined) return onNode(options.node, options, output);
  const stop = new AbortController();
  const end = (): void => stop.abort();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const s of signals) process.on(s, end);
  let timer: NodeJS.Timeout | undefined;
  const asked = { seconds: options.for, peers: new Set(options.peer.map(toBase64)), output };
  const begin = (whose: string): void => {
    output.open();
    sayOn(whose, asked);
    if (options.for !== undefined) timer = setTimeout(end, options.for * 1000);
  };
  try {
    const { keep } = options.kernel ? await import("./keylog/kernel.ts") : await import("./keylog/device.ts");
    return await keep({ ...asked, interface: options.interface, existing: options.existing === true, begin, signal: stop.signal });
  } finally {
    clearTimeout(timer);
    for (const s of signals) process.off(s, end);
    output.close();
  }
}

async function onNode(node: string, options: Options, output: KeyOutput): Promise<number> {
  if (options.kernel || options.existing)
    throw new TortieError(`Cannot log keys on node "${node}": --kernel and --existing are for this machine`, { hint: `Run it on ${node} itself.` });
  if (options.for === undefined)
    throw new TortieError(`Cannot log keys on node "${node}" without an end`, { hint: "--for 10m ends it after ten minutes." });
  const { runTask } = await import("./onnode.ts");
  const on = options.interface === undefined ? {} : { interface: options.interface };
  output.open();
  try {
    const task = { type: "keylog", seconds: options.for, peers: options.peer.map(toBase64), ...on } as const;
    return await runTask(node, task, { kubeconfig: options.kubeconfig, stdout: (data) => output.write(data) });
  } finally {
    output.close();
  }
}
