// One side of a conversation across relay.live.ts: `talk.live.ts tcp|udp send|receive ADDRESS`. Both print what they sent or received: bytes and digest; of
// UDP the datagrams, whose runs the sender hands to the kernel as one message each (UDP_SEGMENT).
import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";
import { parseIp } from "../../src/base/ip.ts";
import { share } from "../../src/sys/memory.ts";
import { Outgoing } from "../../src/sys/outgoing.ts";
import { Slab } from "../../src/sys/slab.ts";
import { closeUdp, openUdp } from "../../src/sys/udp.ts";
import { ENDPOINT_WORDS, writeEndpoint } from "../../src/wireguard/endpoint.ts";

const [kind, role, address] = process.argv.slice(2) as [string, string, string];
const PORT = 7000;
const BYTES = 8 << 20;
/** Few enough for a socket's buffer. */
const RUNS = 2;
const SIZE = 1372;
const EACH = 30;
const family = address.includes(":") ? "v6" : "v4";
const say = (bytes: number, digest: string): void => void process.stdout.write(`${bytes} ${digest}\n`);
const noise = (n: number): Uint8Array => Uint8Array.from({ length: n }, (_, i) => (Math.imul(i, 2654435761) >>> 21) & 255);

if (kind === "tcp" && role === "receive") {
  const server = createServer((socket) => {
    const hash = createHash("sha256");
    let bytes = 0;
    socket.on("data", (d) => (hash.update(d), (bytes += d.length)));
    socket.on("end", () => (say(bytes, hash.digest("hex")), socket.end(), server.close()));
  });
  server.listen(PORT, address, () => process.stdout.write("ready\n"));
} else if (kind === "tcp") {
  const data = noise(BYTES);
  const socket = connect(PORT, address, () => socket.end(data));
  socket.resume();
  socket.on("close", () => say(BYTES, createHash("sha256").update(data).digest("hex")));
} else if (role === "receive") {
  const socket = createSocket({ type: family === "v4" ? "udp4" : "udp6", recvBufferSize: 4 << 20 });
  const got: string[] = [];
  let bytes = 0;
  socket.on("message", (d) => {
    got.push(createHash("sha256").update(d).digest("base64").slice(0, 8));
    bytes += d.length;
    if (got.length < RUNS * EACH) return;
    say(bytes, got.join(" "));
    socket.close();
  });
  socket.bind(PORT, address, () => process.stdout.write("ready\n"));
  // What was lost does not come any more.
  setTimeout(() => (say(bytes, `only ${got.length}`), process.exit()), 20_000).unref();
} else {
  const slab = new Slab(share(1 << 20));
  const sockets = openUdp(0);
  const outgoing = new Outgoing(slab, 1, EACH);
  const endpoint = slab.take(4 * ENDPOINT_WORDS);
  const at = slab.take(EACH * SIZE);
  writeEndpoint(slab.u8, slab.u32, endpoint, { ip: parseIp(address)!, port: PORT });
  const sent: string[] = [];
  for (let run = 0; run < RUNS; run++) {
    slab.u8.set(noise(EACH * SIZE + run).subarray(run), at);
    outgoing.clear();
    outgoing.start(endpoint, 0);
    for (let i = 0; i < EACH; i++) {
      outgoing.append(at + i * SIZE, SIZE);
      sent.push(
        createHash("sha256")
          .update(slab.u8.slice(at + i * SIZE, at + (i + 1) * SIZE))
          .digest("base64")
          .slice(0, 8),
      );
    }
    outgoing.finish(SIZE);
    if (outgoing.send(sockets[family], 0, 1) !== 1) throw new Error("cannot send");
    await new Promise((r) => setTimeout(r, 20));
  }
  say(RUNS * EACH * SIZE, sent.join(" "));
  closeUdp(sockets);
}
