// A flood of initiations whose mac1 is right and whose rest is noise: what puts a device under load.
import { randomBytes } from "node:crypto";
import { nobleCrypto } from "../../src/crypto/noble.ts";
import { CookieMaker } from "../../src/wireguard/cookie.ts";
import { Initiation, MessageType, writeU32 } from "../../src/wireguard/messages.ts";
import type { Host, Spawned } from "../device/host.ts";

/** From `host` to a device with this public key, about `rate` messages a second, until the answer is killed. */
export function flood(host: Host, address: string, port: number, publicKey: string, rate: number): Spawned {
  const message = new Uint8Array(randomBytes(Initiation.LENGTH));
  writeU32(message, 0, MessageType.INITIATION);
  new CookieMaker(nobleCrypto, Uint8Array.from(Buffer.from(publicKey, "base64"))).fill(message, 0);
  const script = `
    const [hex, address, port, rate] = process.argv.slice(1);
    const message = Buffer.from(hex, "hex"), socket = require("dgram").createSocket("udp4"), started = performance.now();
    let sent = 0;
    setInterval(() => { for (const due = (performance.now() - started) * rate / 1000; sent < due; sent++) socket.send(message, port, address); }, 10);`;
  return host.spawn([process.execPath, "-e", script, Buffer.from(message).toString("hex"), address, String(port), String(rate)]);
}
