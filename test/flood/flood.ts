// A flood of datagrams to one UDP port from many source addresses, as fast as one core sends: prepared once, then sent in runs of 64 over a raw socket.
// A program of its own, for a namespace of its own:
//   flood.ts KIND SOURCE/PREFIX ADDRESS PORT PUBLIC_KEY SECONDS     (0 s: until it is killed)
// KIND initiations: random but for type and mac1, which is right: what makes a device calculate. KIND junk: random bytes that look like data messages.
// One line on stdout when it starts; another at the end, with what was sent.
import { randomBytes } from "node:crypto";
import { concat, fromBase64 } from "../../src/base/bytes.ts";
import { parseCidr } from "../../src/base/cidr.ts";
import { parseIp } from "../../src/base/ip.ts";
import { opensslCrypto } from "../../src/crypto/openssl.ts";
import { address, bind, check } from "../../src/sys/ffi.ts";
import { CookieMaker } from "../../src/wireguard/cookie.ts";
import { Initiation, MessageType, writeU32 } from "../../src/wireguard/messages.ts";

const socket = bind("int socket(int, int, int)");
const sendmmsg = bind("int sendmmsg(int, uintptr_t, unsigned int, int)");
const [AF_INET, SOCK_RAW, IPPROTO_RAW, UDP] = [2, 3, 255, 17];

const [kind = "", sources = "", target = "", port = "", publicKey = "", seconds = "0"] = process.argv.slice(2);
const POOL = 4096;
const RUN = 64;
const HEADERS = 28;
const SIZE: number = HEADERS + Initiation.LENGTH;
// struct mmsghdr: name, its length, iov, their number, control, its length, flags, sent length.
const MMSGHDR = 64;

const macs = new CookieMaker(opensslCrypto(), fromBase64(publicKey)!);
const from = parseCidr(sources)!;
const to = parseIp(target)!;
/** The n-th source: any address of the prefix, any port. */
function source(n: number): Uint8Array {
  const host = BigInt(n + 1) * 2_654_435_761n;
  const free = (1n << BigInt(32 - from.prefix)) - 1n;
  return from.ip.map((b, i) => b | Number(((host & free) >> BigInt(24 - 8 * i)) & 255n));
}
function datagram(n: number): Uint8Array {
  const payload = new Uint8Array(randomBytes(Initiation.LENGTH));
  writeU32(payload, 0, kind === "junk" ? MessageType.DATA : MessageType.INITIATION);
  if (kind !== "junk") macs.fill(payload, 0);
  const header = new Uint8Array(HEADERS);
  const view = new DataView(header.buffer);
  header.set([0x45, 0]);
  view.setUint16(2, SIZE);
  header.set([64, UDP], 8); // time to live; the kernel fills in the checksum
  header.set(source(n), 12);
  header.set(to, 16);
  view.setUint16(20, 1024 + (n % 60_000));
  view.setUint16(22, Number(port));
  view.setUint16(24, SIZE - 20);
  return concat(header, payload);
}

const memory = new ArrayBuffer(POOL * (MMSGHDR + 16 + SIZE) + 16);
const [u8, view, base] = [new Uint8Array(memory), new DataView(memory), address(new Uint8Array(memory))];
const [iovs, packets, name] = [POOL * MMSGHDR, POOL * (MMSGHDR + 16), POOL * (MMSGHDR + 16 + SIZE)];
const point = (at: number, offset: number): void => view.setBigUint64(at, BigInt(base + offset), true);
u8.set([AF_INET, 0, 0, 0, ...to], name);
for (let n = 0; n < POOL; n++) {
  u8.set(datagram(n), packets + n * SIZE);
  point(iovs + 16 * n, packets + n * SIZE);
  view.setBigUint64(iovs + 16 * n + 8, BigInt(SIZE), true);
  point(n * MMSGHDR, name);
  view.setUint32(n * MMSGHDR + 8, 16, true);
  point(n * MMSGHDR + 16, iovs + 16 * n);
  view.setBigUint64(n * MMSGHDR + 24, 1n, true);
}
const fd = check(socket(AF_INET, SOCK_RAW, IPPROTO_RAW), "open a raw socket");
process.stdout.write("started\n");
const began = performance.now();
const end = Number(seconds) === 0 ? Infinity : began + 1000 * Number(seconds);
let sent = 0;
for (let at = 0; performance.now() < end; at = (at + RUN) % POOL) sent += Math.max(0, sendmmsg(fd, base + at * MMSGHDR, RUN, 0));
process.stdout.write(`${JSON.stringify({ sent, perSecond: Math.round(sent / ((performance.now() - began) / 1000)) })}\n`);
