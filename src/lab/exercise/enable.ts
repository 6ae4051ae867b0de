// Steps 1 to 4: the tool, the setting, and that it reached every node.
import { allHandshaken, INTERFACE } from "./devices.ts";
import type { Walk } from "./walk.ts";

export const PATCH = (on: boolean): string => `calicoctl patch felixconfiguration default --type='merge' -p '{"spec":{"wireguardEnabled":${on}}}'`;
const PATCHED = "Successfully patched 1 'FelixConfiguration' resource";
/** Every pair of nodes has handshaken within this time of the patch's return, if the machine has nothing else to do. */
const PROMISED_MS = 2_000;
/** Later than this it has not worked. */
const LIMIT_MS = 60_000;

export async function version(walk: Walk): Promise<void> {
  walk.step("1", "the tool");
  const oneLine = /^\S+ v\S+ - \S.*\n$/;
  const ours = await walk.type(walk.node("k8s-m"), "wg version");
  walk.check(oneLine.test(ours.output), "one line: the tool's name, its version, where it is from", ours.output);
  await walk.real("wg", async (wg) => {
    const real = await walk.type(walk.node("k8s-m"), `${wg} version`);
    walk.check(oneLine.test(real.output), "the real one's line has the same form", real.output);
  });
}

/** Switches encryption on, and measures how long it took to reach every pair. */
export async function enable(walk: Walk, what = "patch to the last pair's first handshake"): Promise<void> {
  const patched = await walk.type(walk.node("k8s-m"), PATCH(true));
  walk.check(patched.code === 0 && patched.output.trim() === PATCHED, PATCHED, patched.output);
  const last = await allHandshaken(walk.lab, LIMIT_MS);
  if (last === undefined) return void walk.check(false, "every pair of nodes has handshaken", `not within ${LIMIT_MS / 1000} s`);
  const ms = Math.max(0, Math.round(last - patched.returnedAt));
  const nodes = walk.lab.nodes.length;
  walk.promise(
    ms <= PROMISED_MS,
    `all ${(nodes * (nodes - 1)) / 2} pairs of nodes handshaken ${ms} ms after the command's return`,
    `${PROMISED_MS} ms`,
  );
  walk.figure(what, `${ms} ms`);
}

export async function patch(walk: Walk): Promise<void> {
  walk.step("2", "switch encryption on");
  await enable(walk);
}

export async function setting(walk: Walk): Promise<void> {
  walk.step("3", "the setting is there");
  const line = "felixconfiguration default -o yaml | grep wireguardEnabled";
  const got = await walk.type(walk.node("k8s-m"), `calicoctl get ${line}`);
  walk.check(got.output === "  wireguardEnabled: true\n", "wireguardEnabled: true", got.output);
  await walk.real("kubectl", async (kubectl) => {
    const real = await walk.type(walk.node("k8s-m"), `${kubectl} get ${line}`);
    walk.check(real.output === "  wireguardEnabled: true\n", "the real kubectl reads the same", real.output);
  });
}

export async function keys(walk: Walk): Promise<void> {
  walk.step("4", "every node has published its key");
  const got = await walk.type(walk.node("k8s-m"), "calicoctl get node -o yaml | grep wireguardPublicKey");
  const lines = got.output.trimEnd().split("\n");
  const published = lines.map((l) => /^ {4}wireguardPublicKey: ([A-Za-z0-9+/]{43}=)$/.exec(l)?.[1]);
  walk.check(
    lines.length === walk.lab.nodes.length && published.every((k) => k !== undefined) && new Set(published).size === lines.length,
    "four keys, all different",
    got.output,
  );
  const own: string[] = [];
  for (const node of walk.lab.nodes) own.push((await walk.type(node, `wg show ${INTERFACE} public-key`)).output.trim());
  walk.check(own.every((k) => published.includes(k)) && new Set(own).size === own.length, "each is the key that wg shows on that node", own);
  await walk.real("wg", async (wg) => {
    const [first] = walk.lab.nodes;
    const real = await walk.type(first!, `${wg} show ${INTERFACE} public-key`);
    walk.check(real.output.trim() === own[0], "the real wg reads the same from our device", real.output);
  });
}
