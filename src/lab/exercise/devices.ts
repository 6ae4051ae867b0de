// What the lab's devices say of themselves, read from their control sockets: finer than wg(8), which gives whole seconds.
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { toBase64, wipe } from "../../base/bytes.ts";
import { connect, listInterfaces } from "../../uapi/client.ts";
import type { LabNode, RunningLab } from "../enter.ts";
import { rootOf } from "../../sys/ns.ts";

export const INTERFACE = "wireguard.cali";

/** Where the control sockets of a node's devices are for the caller. /var/run is a link to /run, which would lead out of the node. */
const sockets = (lab: RunningLab, node: LabNode): string => `${lab.root}${rootOf(node.pid)}/run/wireguard`;

/** Wall time of each peer's last completed handshake, in ms since 1970, by the peer's key; empty while there is no device. */
export async function handshakes(lab: RunningLab, node: LabNode): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  try {
    const device = await connect(`${sockets(lab, node)}/${INTERFACE}.sock`);
    try {
      const state = await device.get();
      if (state.privateKey) wipe(state.privateKey);
      for (const peer of state.peers)
        if (peer.lastHandshakeSec > 0) found.set(toBase64(peer.publicKey), peer.lastHandshakeSec * 1e3 + peer.lastHandshakeNsec / 1e6);
    } finally {
      device.close();
    }
  } catch {
    // No device yet, or it is being restarted.
  }
  return found;
}

/** Waits until every node has a completed handshake with every other; gives the wall time of the last one, or undefined after `timeoutMs`. */
export async function allHandshaken(lab: RunningLab, timeoutMs: number): Promise<number | undefined> {
  for (const end = Date.now() + timeoutMs; Date.now() < end && existsSync(lab.root); await sleep(15)) {
    const seen = await Promise.all(lab.nodes.map((n) => handshakes(lab, n)));
    if (seen.every((peers) => peers.size === lab.nodes.length - 1)) return Math.max(...seen.flatMap((peers) => [...peers.values()]));
  }
  return undefined;
}

/** Asks a node's device, whatever its name, for fresh handshakes now, with the peers named or with all. */
export async function forceHandshake(lab: RunningLab, node: LabNode, keys: readonly Uint8Array[] = []): Promise<void> {
  for (const name of await listInterfaces(sockets(lab, node))) {
    const device = await connect(`${sockets(lab, node)}/${name}.sock`);
    try {
      await device.handshake(keys);
    } finally {
      device.close();
    }
  }
}
