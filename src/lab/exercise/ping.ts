// Step 7: pods reach each other through the tunnel; and what a ping said.
import { INTERFACE } from "./devices.ts";
import type { Walk } from "./walk.ts";

export type Pinged = {
  readonly sent: number;
  readonly received: number;
  /** ms, of the first request. */
  readonly first: number | undefined;
};

/** Reads the output of ping(8): one entry a summary line, in order. */
export function readPing(output: string): Pinged[] {
  let from = 0;
  return [...output.matchAll(/([0-9]+) packets transmitted, ([0-9]+) (?:packets )?received/g)].map((m) => {
    const first = /icmp_seq=1 .*time=([0-9.]+) ms/.exec(output.slice(from, m.index))?.[1];
    from = m.index;
    return { sent: Number(m[1]), received: Number(m[2]), first: first === undefined ? undefined : Number(first) };
  });
}

/** What a terminal would show: a carriage return goes to the start of a line. */
const plain = (text: string): string => text.replaceAll("\r", "");

/** A pseudo-terminal, as a person's; what is typed comes from standard input. */
const withTerminal = (line: string): string => `script -qec "${line}" /dev/null`;

export async function pods(walk: Walk): Promise<void> {
  walk.step("7", "pods reach each other through the tunnel");
  const node = walk.node("k8s-m");
  const others = [walk.pod("pod2"), walk.pod("pod3")];
  const before = await received(walk);
  const got = await walk.type(node, withTerminal("kubectl exec pod1 -it -- sh"), {
    dialogue: [...others.map((p) => `ping -c 3 -i 0.3 ${p.address}`), "exit"],
    show: plain,
  });
  walk.check(got.code === 0, "the session in the pod ends as its shell does", `exit code ${got.code}`);
  const pinged = readPing(got.output);
  for (const [i, pod] of others.entries()) {
    const p = pinged[i];
    const where = pod.name === "pod3" ? "across the router" : "in the same subnet";
    walk.check(p !== undefined && p.sent === 3 && p.received === 3, `${pod.name} on ${pod.node}, ${where}: no ping lost`, p ?? got.output);
    if (p?.first === undefined) walk.check(false, "a first reply", got.output);
    else walk.promise(p.first < 1000, `its first reply after ${p.first} ms`, "1 s");
    walk.figure(`first reply of ${pod.name}`, `${p?.first ?? "?"} ms`);
  }
  const after = await received(walk);
  walk.check(after > before, `the device of k8s-w1 has decrypted ${after - before} bytes more`);
  await walk.real("kubectl", async (kubectl) => {
    const real = await walk.type(node, `${kubectl} exec pod1 -- ping -c 2 -i 0.3 ${others[0]!.address}`);
    const p = readPing(real.output)[0];
    walk.check(real.code === 0 && p?.sent === 2 && p.received === 2, "the real kubectl runs a command in the pod", real.output);
    const terminal = await walk.type(node, withTerminal(`${kubectl} exec pod1 -it -- sh`), {
      dialogue: ["hostname", "exit 7"],
      show: plain,
    });
    walk.check(
      terminal.code === 7 && /^pod1$/m.test(plain(terminal.output)),
      "and a shell with a terminal, whose exit code it gives",
      `exit code ${terminal.code}`,
    );
  });
}

/** Bytes that the device of k8s-w1 has received in all. */
async function received(walk: Walk): Promise<number> {
  const got = await walk.type(walk.node("k8s-w1"), `wg show ${INTERFACE} transfer`, { quiet: true });
  return got.output
    .trim()
    .split("\n")
    .reduce((sum, l) => sum + Number(l.split("\t")[1] ?? 0), 0);
}
