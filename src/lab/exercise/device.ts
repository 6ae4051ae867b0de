// Steps 5 and 6: the device as the usual tools show it.
import { NODE } from "../../api/node.ts";
import { ANNOTATION } from "../../api/node-annotations.ts";
import { BLOCK_AFFINITY } from "../../api/blockaffinity.ts";
import { connectToSocket } from "../../client/node.ts";
import { INTERFACE } from "./devices.ts";
import type { Walk } from "./walk.ts";

const PORT = 51820;

/** What each other node must be as a peer, from the API: its block, its tunnel addresses, its endpoint. */
async function expectedPeers(walk: Walk, self: string): Promise<{ node: string; endpoint: string; allowed: string[] }[]> {
  const client = connectToSocket(walk.lab.apiSocket);
  try {
    const [nodes, affinities] = await Promise.all([client.list(NODE), client.list(BLOCK_AFFINITY)]);
    return walk.lab.nodes
      .filter((n) => n.name !== self)
      .map((n) => {
        const annotations = nodes.items.find((o) => o.metadata.name === n.name)?.metadata.annotations ?? {};
        const tunnels = [annotations[ANNOTATION.ipv4VXLANTunnelAddr], annotations[ANNOTATION.interfaceIPv4Address]];
        const blocks = affinities.items.filter((a) => a.spec.node === n.name).map((a) => a.spec.cidr);
        // A missing one stays in the list as what it is, so that the verdict fails and shows it.
        return { node: n.name, endpoint: `${n.address}:${PORT}`, allowed: [...blocks, ...tunnels.map((t) => `${t}/32`)] };
      });
  } finally {
    await client.close();
  }
}

type Section = { readonly name: string; readonly fields: ReadonlyMap<string, string> };

/** The sections of wg's configuration format. */
export function sections(text: string): Section[] {
  return text
    .split(/^(?=\[)/m)
    .filter((part) => part.startsWith("["))
    .map((part) => {
      const [head, ...lines] = part.split("\n");
      const fields = lines.flatMap((l) => {
        const m = /^(\w+) = (.*)$/.exec(l);
        return m ? [[m[1]!, m[2]!] as const] : [];
      });
      return { name: head!.slice(1, -1), fields: new Map(fields) };
    });
}

const hidden = (text: string): string => text.replace(/^(PrivateKey = ).*$/m, "$1(not shown here)");

export async function showconf(walk: Walk): Promise<void> {
  walk.step("5", "the device's configuration");
  const node = walk.node("k8s-m");
  const command = `showconf ${INTERFACE}`;
  const got = await walk.type(node, `wg ${command}`, { show: hidden });
  const [own, ...peers] = sections(got.output);
  walk.check(
    own?.name === "Interface" && own.fields.get("ListenPort") === String(PORT) && /^0x[0-9a-f]+$/.test(own.fields.get("FwMark") ?? ""),
    `[Interface] with ListenPort = ${PORT} and FwMark = 0x…`,
    hidden(got.output),
  );
  walk.check(/^[A-Za-z0-9+/]{43}=$/.test(own?.fields.get("PrivateKey") ?? ""), "and a PrivateKey, which this page does not repeat");
  const expected = await expectedPeers(walk, node.name);
  walk.check(peers.length === expected.length && peers.every((p) => p.name === "Peer"), `${expected.length} [Peer] sections`, hidden(got.output));
  for (const want of expected) {
    const peer = peers.find((p) => p.fields.get("Endpoint") === want.endpoint);
    const allowed = (peer?.fields.get("AllowedIPs") ?? "").split(", ");
    const ok = want.allowed.length >= 3 && want.allowed.every((a) => allowed.includes(a)) && want.allowed.some((a) => a.endsWith("/24"));
    walk.check(ok, `${want.node}: endpoint ${want.endpoint}, its block and its tunnel addresses: ${want.allowed.join(", ")}`, allowed.join(", "));
  }
  await walk.real("wg", async (wg) => {
    const real = await walk.type(node, `${wg} ${command}`, { quiet: true });
    const same = real.output.split("\n").toSorted().join("\n") === got.output.split("\n").toSorted().join("\n");
    walk.check(real.code === 0 && same, `the real wg ${command} on our device prints the same lines`, hidden(real.output));
  });
}

export async function listening(walk: Walk): Promise<void> {
  walk.step("6", "the device listens");
  const got = await walk.type(walk.node("k8s-m"), "ss -unlp");
  const local = got.output.split("\n").flatMap((l) => /\s(\S+:51820)\s/.exec(l)?.[1] ?? []);
  walk.check(local.includes(`0.0.0.0:${PORT}`) && local.includes(`[::]:${PORT}`), `UDP ${PORT} on 0.0.0.0 and on [::]`, got.output);
}
