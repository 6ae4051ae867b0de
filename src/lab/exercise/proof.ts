// Step 12: nothing leaves in the clear, and the detector can fail; then switching off and on again under traffic.
import { setTimeout as sleep } from "node:timers/promises";
import { enable, PATCH } from "./enable.ts";
import { readPing } from "./ping.ts";
import type { Walk } from "./walk.ts";

/** Traffic between all three pods, in both subnets, while `body` runs. Gives the pings lost in all. */
async function underTraffic(walk: Walk, seconds: number, body: () => Promise<void>): Promise<{ sent: number; lost: number; worst: number }> {
  const targets = [walk.pod("pod2"), walk.pod("pod3")];
  walk.note(`for ${seconds} s pod1 pings pod2 and pod3 five times a second`);
  const pings = await Promise.all(
    targets.map((p) => walk.begin(walk.pod("pod1"), `ping -q -i 0.2 -c ${seconds * 5} ${p.address}`, { quiet: true, timeoutMs: 180_000 })),
  );
  await body();
  const results = (await Promise.all(pings.map((p) => p.ended))).map((r) => readPing(r.output)[0] ?? { sent: seconds * 5, received: 0 });
  const lost = results.map((r) => r.sent - r.received);
  return { sent: results.reduce((n, r) => n + r.sent, 0), lost: lost.reduce((a, b) => a + b, 0), worst: Math.max(...lost) };
}

export async function audit(walk: Walk): Promise<void> {
  walk.step("12", "prove it");
  const encrypted = await underTraffic(walk, 7, async () => {
    const clean = await walk.type("machine", "tortie audit");
    walk.check(clean.code === 0, "0 pod packets in the clear, over every node's interface (exit code 0)", `exit code ${clean.code}`);
  });
  walk.check(encrypted.lost === 0, `and the traffic was there: ${encrypted.sent} pings between the pods, none lost`, encrypted);

  walk.step("12", "and the detector can fail: the same with encryption off");
  const off = await underTraffic(walk, 4, async () => {
    await sleep(800);
    const patched = await walk.type(walk.node("k8s-m"), PATCH(false));
    walk.check(patched.code === 0, "switched off", patched.output);
  });
  walk.promise(off.worst <= 1, `back to plain routing: ${off.lost} of ${off.sent} pings lost`, "at most one of a pair");
  walk.figure("pings lost when switching off", `${off.lost} of ${off.sent}`);
  const plain = await underTraffic(walk, 7, async () => {
    const found = await walk.type("machine", "tortie audit");
    walk.check(found.code === 2, "the audit finds them (exit code 2)", `exit code ${found.code}`);
    const [one, two, three] = ["pod1", "pod2", "pod3"].map((p) => walk.pod(p).address);
    walk.check(
      [one, two, three].every((a) => found.output.includes(a!)),
      "by flow: native in the subnet, in VXLAN across the router",
      found.output,
    );
  });
  walk.check(plain.lost === 0, `plain routing carries ${plain.sent} pings, none lost`, plain);
}

export async function status(walk: Walk): Promise<void> {
  walk.step("13", "on again, and the state of the cluster");
  const on = await underTraffic(walk, 4, async () => {
    await sleep(800);
    await enable(walk, "the same again, under traffic");
  });
  walk.figure("pings lost when switching on", `${on.lost} of ${on.sent}`);
  // The nodes report once a second.
  for (const end = Date.now() + 60_000; Date.now() < end && (await walk.type("machine", "tortie status", { quiet: true })).code !== 0;)
    await sleep(500);
  const got = await walk.type("machine", "tortie status");
  walk.check(got.code === 0, "tortie status", `exit code ${got.code}`);
}
