// Filter expressions made at random from the grammar of section 5.1, with values that the corpus has.
import fc from "fast-check";

type Text = fc.Arbitrary<string>;
const words = (...list: string[]): Text => fc.constantFrom(...list);
const spaced = (...parts: Text[]): Text => fc.tuple(...parts).map((p) => p.filter((w) => w !== "").join(" "));

const direction = words("", "", "src", "dst", "src or dst", "src and dst");
const port = words("51820", "53", "80", "443", "4789", "40000", "domain", "1000");
const range = fc.tuple(fc.nat(60_000), fc.nat(5_535)).map(([low, span]) => `${low}-${low + span}`);
const host4 = words("10.0.0.1", "192.168.1.2", "127.0.0.1", "224.0.0.5");
const host6 = words("2001:db8::1", "fe80::2", "ff02::1");
const net4 = words("10.0.0.0/8", "192.168.1.0/24", "10", "192.168", "10.0.0.0/30", "0.0.0.0/0", "192.168.1.0 mask 255.255.255.0", "128.0.0.0/1");
const net6 = words("2001:db8::/32", "fe80::/10", "2001:db8::/127", "::/0", "2001:db8::/65");

const primitives = [
  words("ip", "ip6", "tcp", "udp", "sctp", "icmp", "icmp6"),
  spaced(words("", "tcp", "udp", "sctp"), direction, fc.constant("port"), port),
  spaced(words("", "tcp", "udp"), direction, fc.constant("portrange"), range),
  spaced(words("", "ip"), direction, fc.constant("host"), host4),
  spaced(words("", "ip6"), direction, fc.constant("host"), host6),
  spaced(words("", "ip"), direction, fc.constant("net"), net4),
  spaced(words("", "ip6"), direction, fc.constant("net"), net6),
  spaced(words("proto", "ip proto", "ip6 proto"), words("6", "17", "1", "58", "132", "44", "\\tcp", "\\udp")),
  spaced(words("less", "greater", "len >=", "len <", "len ="), words("60", "150", "170", "250")),
  words("port 80 or 443", "host 10.0.0.1 or 192.168.1.2", "src port 53 or 80 or 51820", "ip multicast", "ip6 multicast"),
];

const size = words("", ":1", ":2", ":4");
const number = fc
  .oneof(fc.nat(255), fc.nat(65_535), fc.nat(0xffffffff), fc.constantFrom(0, 1, 17, 0x45, 51_820, 0x04000000))
  .map((n) => (n % 3 === 0 ? `0x${n.toString(16)}` : String(n)));
const relation = (protocols: readonly string[]): Text => {
  const protocol = words(...protocols);
  const place = fc.tuple(fc.nat(24), size, fc.boolean()).map(([at, s, computed]) => (computed ? `[(ip[0] & 3) + ${at}${s}]` : `[${at}${s}]`));
  const piece = fc.tuple(protocol, place).map(([p, at]) => `${p}${at}`);
  // Of one protocol: libpcap forgets that what the right one needs must be there too, and takes other packets' bytes for it.
  const pair = fc
    .tuple(protocol, fc.nat(24), fc.nat(24), size, words("+", "&", "-"))
    .map(([p, a, b, s, op]) => `(${p}[${a}${s}] ${op} ${p}[${b}${s}])`);
  const constant = fc.tuple(number, words("&", "|", "^", "+", "-", "*"), number).map(([a, op, b]) => `(${a} ${op} ${b})`);
  const value = fc.oneof(
    { weight: 4, arbitrary: piece },
    { weight: 3, arbitrary: fc.tuple(piece, words("&", "|", "^", "+", "-", "*"), number).map(([p, op, n]) => `${p} ${op} ${n}`) },
    { weight: 1, arbitrary: fc.tuple(piece, words("/", "%"), fc.integer({ min: 1, max: 300 })).map(([p, op, n]) => `${p} ${op} ${n}`) },
    { weight: 1, arbitrary: fc.tuple(piece, words("<<", ">>"), fc.nat(31)).map(([p, op, n]) => `(${p} ${op} ${n})`) },
    { weight: 1, arbitrary: pair },
    { weight: 1, arbitrary: piece.map((p) => `-${p}`) },
    { weight: 1, arbitrary: fc.constant("len") },
  );
  return spaced(
    value,
    words("=", "==", "!=", "<", "<=", ">", ">="),
    fc.oneof({ weight: 4, arbitrary: number }, { weight: 1, arbitrary: value }, { weight: 1, arbitrary: constant }),
  );
};

const ETHERNET = [
  spaced(words("ether host", "ether src", "ether dst"), words("02:00:00:00:00:01", "02:00:00:00:00:02", "ff:ff:ff:ff:ff:ff")),
  spaced(fc.constant("ether proto"), words("0x800", "0x86dd", "\\arp", "0x88cc")),
  words("ether broadcast", "ether multicast", "broadcast", "multicast", "arp", "rarp", "arp host 10.0.0.1", "vlan", "vlan 7", "vlan 4094", "vlan 5"),
];
const COOKED = [words("arp", "rarp", "inbound", "outbound", "rarp host 10.0.0.1")];

/** Expressions for a link type. */
export function expressionOf(link: number): Text {
  const own = link === 1 ? ETHERNET : link === 113 || link === 276 ? COOKED : [];
  const pieces = ["ip", "ip6", "tcp", "udp", "icmp", "icmp6", "link", ...(link === 1 ? ["ether", "arp"] : [])];
  const primitive = fc.oneof(...primitives, ...own, ...own, relation(pieces), relation(pieces), relation(pieces));
  return fc.letrec<{ e: string }>((tie) => ({
    e: fc.oneof(
      { maxDepth: 4 },
      primitive,
      fc.tuple(tie("e"), words("and", "or", "&&", "||"), tie("e")).map(([a, op, b]) => `${a} ${op} ${b}`),
      tie("e").map((a) => `(${a})`),
      fc.tuple(words("not", "!"), tie("e")).map(([not, a]) => `${not} (${a})`),
    ),
  })).e;
}
