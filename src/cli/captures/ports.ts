// The ports that the filter word `wireguard` means: the usual ones, and those that the devices of this machine have.
import { connect, listInterfaces } from "../../uapi/client.ts";

/** Calico's for IPv4 and IPv6; most others have the first too. */
const USUAL = [51_820, 51_821];

/** In order. A device that does not answer has none. */
export async function wireguardPorts(): Promise<number[]> {
  const ports = new Set(USUAL);
  for (const name of await listInterfaces().catch(() => [])) {
    const device = await connect(name).catch(() => undefined);
    const state = await device?.get().catch(() => undefined);
    device?.close();
    if (state?.listenPort) ports.add(state.listenPort);
  }
  return [...ports].sort((a, b) => a - b);
}
