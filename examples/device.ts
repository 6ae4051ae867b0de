// A program that runs a WireGuard device of its own for as long as it lives. As root: npx tsx examples/device.ts wg0 KEY-FILE 51820
// wg(8), ip(8) and tortie status work on it from outside; Ctrl-C ends it.
import { readFileSync } from "node:fs";
import { startDevice } from "tortie/runtime";
import { fromBase64 } from "tortie/wireguard";

const [name, keyFile, port] = process.argv.slice(2);
if (!name || !keyFile) throw new Error("Which device? examples/device.ts INTERFACE KEY-FILE [PORT]");
const privateKey = fromBase64(readFileSync(keyFile, "utf8").trim());
if (privateKey?.length !== 32) throw new Error(`Cannot read a key from ${keyFile}: make one with wg genkey`);

const device = await startDevice({ name });
await device.control.set({ privateKey, listenPort: Number(port ?? 0) });
privateKey.fill(0);
console.log(`${device.name} runs`);

process.once("SIGINT", () => void device.stop());
process.once("SIGTERM", () => void device.stop());
async function show(): Promise<void> {
  const state = await device.control.get();
  state.privateKey?.fill(0);
  for (const peer of state.peers) console.log(`rx ${peer.rxBytes} tx ${peer.txBytes} bytes, last handshake ${peer.lastHandshakeSec}`);
}
const every = setInterval(() => void show().catch(() => clearInterval(every)), 1000);
await device.ended;
clearInterval(every);
console.log(`${device.name} has ended`);
