// Two tunnels talk in memory: no socket, no link, nothing of Node. npm run build && npx tsx examples/two-tunnels.ts
import { nobleCrypto as crypto, noblePackets as packets } from "tortie/crypto/noble";
import { icmp, ip, parseIp } from "tortie/packet";
import { type Datagram, Tunnel } from "tortie/wireguard";

const [here, there] = [parseIp("10.0.0.1")!, parseIp("10.0.0.2")!];
const [a, b] = [new Tunnel({ crypto, packets }), new Tunnel({ crypto, packets })];
const [atA, atB] = [
  { address: "192.0.2.1", port: 51820 },
  { address: "192.0.2.2", port: 51820 },
];
a.setPeer({ publicKey: b.publicKey, endpoint: atB, allowedIps: ["10.0.0.2/32"] });
b.setPeer({ publicKey: a.publicKey, allowedIps: ["10.0.0.1/32"] });

const at = { now: performance.now(), wall: Date.now() };
const ping = ip({ src: here, dst: there, protocol: 1 }, icmp(here, there, { type: 8 }, new TextEncoder().encode("hello")));
let flying: Datagram[] = a.send(ping, at); // a handshake: the packet waits until it is through
for (let toB = true; flying.length > 0; toB = !toB) {
  for (const { bytes } of flying) console.log(`${toB ? "a → b" : "b → a"}: message of type ${bytes[0]}, ${bytes.length} bytes`);
  const received = flying.map(({ bytes }) => (toB ? b.receive(bytes, atA, at) : a.receive(bytes, atB, at)));
  for (const packet of received.flatMap((r) => r.packets)) console.log(`arrived: ${new TextDecoder().decode(packet.subarray(28))}`);
  flying = received.flatMap((r) => r.datagrams);
}
