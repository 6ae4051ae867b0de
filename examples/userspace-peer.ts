// A WireGuard peer without a link: a Node program that has the address 10.77.0.2 inside the tunnel, answers pings there and echoes UDP on port 7.
// No root is needed. npx tsx examples/userspace-peer.ts KEY-FILE PEER-PUBLIC-KEY 192.0.2.1:51820 10.77.0.2
import { createSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import { opensslCrypto, opensslPackets } from "tortie/crypto";
import { decode, formatIp, icmp, ip, LINK_RAW, udp } from "tortie/packet";
import { type Datagram, fromBase64, toBase64, Tunnel } from "tortie/wireguard";

const [keyFile, peerKey, peerAt, own] = process.argv.slice(2);
if (!keyFile || !peerKey || !peerAt || !own) throw new Error("Usage: userspace-peer.ts KEY-FILE PEER-PUBLIC-KEY PEER-ADDRESS:PORT OWN-INNER-ADDRESS");
const key = (text: string): Uint8Array => fromBase64(text.trim()) ?? new Uint8Array(0);

// The protocol: no I/O in it, so the socket and the clock are ours.
const tunnel = new Tunnel({ crypto: opensslCrypto(), packets: opensslPackets, privateKey: key(readFileSync(keyFile, "utf8")) });
const [address = "", port] = peerAt.split(":");
tunnel.setPeer({ publicKey: key(peerKey), endpoint: { address, port: Number(port) }, allowedIps: ["0.0.0.0/0"], persistentKeepalive: 25 });

const socket = createSocket("udp4");
const moment = (): { now: number; wall: number } => ({ now: performance.now(), wall: Date.now() });
const sendAll = (datagrams: Datagram[]): void => datagrams.forEach(({ to, bytes }) => socket.send(bytes, to.port, to.address));
setInterval(() => sendAll(tunnel.tick(moment())), 100);
socket.on("message", (datagram, from) => {
  const { packets, datagrams } = tunnel.receive(datagram, from, moment());
  sendAll(datagrams);
  for (const packet of packets) {
    const answer = respond(packet);
    if (answer) sendAll(tunnel.send(answer, moment()));
  }
});
socket.bind(0, () => console.log(`public key ${toBase64(tunnel.publicKey)}, ${own}, UDP port ${socket.address().port}`));

// What a host's network stack would do: echo requests (ICMP type 8) are answered, UDP datagrams to port 7 come back.
function respond(packet: Uint8Array): Uint8Array | undefined {
  const [network, transport] = decode(packet, LINK_RAW);
  if (network?.kind !== "ipv4" || !transport || formatIp(network.dst) !== own) return undefined;
  const { src: theirs, dst: ours } = network;
  const payload = packet.slice(transport.at + transport.length, transport.end);
  if (transport.kind === "icmp" && transport.type === 8)
    return ip({ src: ours, dst: theirs, protocol: 1 }, icmp(ours, theirs, { type: 0, rest: transport.rest }, payload));
  if (transport.kind === "udp" && transport.dstPort === 7)
    return ip({ src: ours, dst: theirs, protocol: 17 }, udp(ours, theirs, 7, transport.srcPort, payload));
  return undefined;
}
