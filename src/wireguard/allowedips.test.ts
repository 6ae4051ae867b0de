import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Cidr, contains, formatCidr, mask, parseCidr } from "../base/cidr.ts";
import { type Ip, parseIp } from "../base/ip.ts";
import { Dice, randomOf } from "../base/random.cases.ts";
import { AllowedIps } from "./allowedips.ts";
import { lookup4, lookup6 } from "./lookup.ts";
import { Reclaimer } from "./reclaim.ts";
import { createTables, Head, initTables, type Limits, Node, tablesSize } from "./tables.ts";

const LIMITS: Limits = { peers: 16, trieNodes: 2000, stagedSlots: 0, stagedBytes: 0, handshakeCells: 0 };

function trie(limits = LIMITS): { ips: AllowedIps; lookup: (ip: Ip) => number } {
  const size = tablesSize(limits);
  const tables = createTables(new ArrayBuffer(size + 16), 0, limits);
  initTables(tables);
  const lookup = (ip: Ip): number => {
    tables.u8.set(ip, size);
    return ip.length === 4 ? lookup4(tables, size) : lookup6(tables, size);
  };
  return { ips: new AllowedIps(tables, new Reclaimer(tables)), lookup };
}
const peers = "abcdefgh";
const cidr = (text: string): Cidr => parseCidr(text)!;

test("who reads a peer's prefixes while they are removed sees none that are another's by then", () => {
  const { ips } = trie();
  for (let i = 0; i < 9; i++) ips.add(0, cidr(`10.0.${i}.0/24`));
  const seen: string[] = [];
  for (const prefix of ips.of(0)) {
    seen.push(formatCidr(prefix));
    if (seen.length > 1) continue;
    ips.clear(0);
    for (let i = 0; i < 9; i++) ips.add(1, cidr(`172.16.${i}.0/24`));
  }
  expect(seen).toEqual(["10.0.0.0/24"]);
});

// The kernel's selftest/allowedips.c.
describe("the kernel's self-test", () => {
  const { ips, lookup } = trie();
  for (const [peer, ...prefixes] of [
    ["a", "192.168.4.0/24"],
    ["b", "192.168.4.4/32"],
    ["c", "192.168.0.0/16"],
    ["d", "192.95.5.64/27"],
    ["c", "192.95.5.65/27"],
    ["e", "0.0.0.0/0"],
    ["g", "64.15.112.0/20"],
    ["h", "64.15.123.211/25"],
    ["a", "10.0.0.0/25"],
    ["b", "10.0.0.128/25"],
    ["a", "10.1.0.0/30"],
    ["b", "10.1.0.4/30"],
    ["c", "10.1.0.8/29"],
    ["d", "10.1.0.16/29"],
    ["d", "2607:5300:6000:6b00::c05f:543/128"],
    ["c", "2607:5300:6000:6b00::/64"],
    ["e", "::/0"],
    ["f", "::/0"],
    ["g", "2404:6800::/32"],
    ["h", "2404:6800:4004:800:dead:beef:dead:beef/64"],
    ["a", "2404:6800:4004:800:dead:beef:dead:beef/128"],
    ["c", "2444:6800:40e4:800:deae:beef:def:beef/128"],
    ["b", "2444:6800:f0e4:800:eeae:beef::/98"],
  ] as string[][])
    for (const p of prefixes) ips.add(peers.indexOf(peer!), cidr(p));

  test.for([
    ["192.168.4.20", "a"],
    ["192.168.4.0", "a"],
    ["192.168.4.4", "b"],
    ["192.168.200.182", "c"],
    ["192.95.5.68", "c"],
    ["192.95.5.96", "e"],
    ["64.15.116.26", "g"],
    ["64.15.127.3", "g"],
    ["64.15.123.1", "g"],
    ["64.15.123.128", "h"],
    ["64.15.123.129", "h"],
    ["10.0.0.52", "a"],
    ["10.0.0.220", "b"],
    ["10.1.0.2", "a"],
    ["10.1.0.6", "b"],
    ["10.1.0.10", "c"],
    ["10.1.0.20", "d"],
    ["2607:5300:6000:6b00::c05f:543", "d"],
    ["2607:5300:6000:6b00::c02e:1ee", "c"],
    ["2607:5300:6000:6b01::", "f"],
    ["2404:6800:4004:806::1006", "g"],
    ["2404:6800:4004:806:0:1234:0:5678", "g"],
    ["2404:67ff:4004:806:0:1234:0:5678", "f"],
    ["2404:6801:4004:806:0:1234:0:5678", "f"],
    ["2404:6800:4004:800:0:1234:0:5678", "h"],
    ["2404:6800:4004:800::", "h"],
    ["2404:6800:4004:800:1010:1010:1010:1010", "h"],
    ["2404:6800:4004:800:dead:beef:dead:beef", "a"],
  ])("%s belongs to %s", ([ip, peer]) => expect(lookup(parseIp(ip!)!)).toBe(peers.indexOf(peer!)));
});

test("removal of a peer takes all its prefixes, also the last", () => {
  const { ips, lookup } = trie();
  for (const p of ["1.0.0.0/32", "64.0.0.0/32", "128.0.0.0/32", "192.0.0.0/32", "255.0.0.0/32", "192.168.0.0/16", "192.168.0.0/24"])
    ips.add(0, cidr(p));
  expect(lookup(parseIp("192.168.0.1")!)).toBe(0);
  ips.clear(0);
  for (const ip of ["1.0.0.0", "64.0.0.0", "128.0.0.0", "192.0.0.0", "255.0.0.0", "192.168.0.1"]) expect(lookup(parseIp(ip)!)).toBe(-1);
  expect(ips.nodesInUse).toBe(0);
});

test("a peer's list is in the order of insertion; a prefix given again, or taken over, goes to the end", () => {
  const { ips } = trie();
  for (const p of ["10.0.0.0/8", "fd00::/16", "10.1.0.0/16"]) ips.add(0, cidr(p));
  const list = (peer: number): string[] => [...ips.of(peer)].map(formatCidr);
  expect(list(0)).toEqual(["10.0.0.0/8", "fd00::/16", "10.1.0.0/16"]);
  ips.add(0, cidr("10.0.0.0/8"));
  expect(list(0)).toEqual(["fd00::/16", "10.1.0.0/16", "10.0.0.0/8"]);
  ips.add(1, cidr("10.1.0.0/16"));
  expect([list(0), list(1)]).toEqual([["fd00::/16", "10.0.0.0/8"], ["10.1.0.0/16"]]);
});

test("remove() needs the very prefix and its owner", () => {
  const { ips, lookup } = trie();
  ips.add(0, cidr("10.0.0.0/8"));
  ips.remove(1, cidr("10.0.0.0/8"));
  ips.remove(0, cidr("10.0.0.0/9"));
  ips.remove(0, cidr("11.0.0.0/8"));
  expect(lookup(parseIp("10.0.0.1")!)).toBe(0);
  ips.remove(0, cidr("10.0.0.0/8"));
  expect(lookup(parseIp("10.0.0.1")!)).toBe(-1);
});

test("a full trie refuses and is not changed", () => {
  const { ips, lookup } = trie({ ...LIMITS, trieNodes: 3 });
  expect([ips.add(0, cidr("10.0.0.0/8")), ips.add(1, cidr("11.0.0.0/8"))]).toEqual([true, true]);
  expect(ips.add(2, cidr("12.0.0.0/8"))).toBe(false);
  expect([lookup(parseIp("10.0.0.0")!), lookup(parseIp("11.0.0.0")!), lookup(parseIp("12.0.0.0")!)]).toEqual([0, 1, -1]);
  ips.clear(0);
  expect(ips.add(2, cidr("12.0.0.0/8"))).toBe(true);
});

// The naive twin: a list that is searched from end to end.
class NaiveList {
  entries: { cidr: Cidr; peer: number }[] = [];
  add(peer: number, c: Cidr): void {
    this.remove(-1, c);
    this.entries.push({ cidr: c, peer });
  }
  remove(peer: number, c: Cidr): void {
    this.entries = this.entries.filter((e) => !(formatCidr(e.cidr) === formatCidr(c) && (peer < 0 || e.peer === peer)));
  }
  clear(peer: number): void {
    this.entries = this.entries.filter((e) => e.peer !== peer);
  }
  lookup(ip: Ip): number {
    return this.entries
      .filter((e) => contains(e.cidr, ip))
      .reduce((best, e) => (e.cidr.prefix > best.prefix ? { prefix: e.cidr.prefix, peer: e.peer } : best), { prefix: -1, peer: -1 }).peer;
  }
}

// Few distinct bits, so that prefixes nest and meet.
const bits = fc.constantFrom(0, 0, 0, 1, 128, 255, 3, 192);
const ipOf = (family: number): fc.Arbitrary<Ip> => fc.array(bits, { minLength: family, maxLength: family }).map((b) => new Uint8Array(b));
const anyIp = fc.oneof(ipOf(4), ipOf(16));
const anyCidr = anyIp.chain((ip) => fc.integer({ min: 0, max: 8 * ip.length }).map((p) => mask(ip, p)));
const operation = fc.record({
  what: fc.constantFrom("add", "add", "add", "add", "remove", "clear"),
  peer: fc.integer({ min: 0, max: 5 }),
  cidr: anyCidr,
});

test("agrees with the naive list under any changes, and leaks no node", () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 80 }), fc.array(anyIp, { minLength: 20, maxLength: 20 }), (operations, probes) => {
      const { ips, lookup } = trie();
      const naive = new NaiveList();
      for (const { what, peer, cidr: c } of operations) {
        if (what === "add") {
          ips.add(peer, c);
          naive.add(peer, c);
        } else if (what === "remove") {
          ips.remove(peer, c);
          naive.remove(peer, c);
        } else {
          ips.clear(peer);
          naive.clear(peer);
        }
      }
      for (const ip of [...probes, ...operations.map((o) => o.cidr.ip)]) expect(lookup(ip)).toBe(naive.lookup(ip));
      for (let peer = 0; peer < 6; peer++)
        expect([...ips.of(peer)].map(formatCidr)).toEqual(naive.entries.filter((e) => e.peer === peer).map((e) => formatCidr(e.cidr)));
      expect(ips.nodesInUse).toBeLessThanOrEqual(2 * naive.entries.length);
      for (let peer = 0; peer < 6; peer++) ips.clear(peer);
      expect(ips.nodesInUse).toBe(0);
    }),
    { numRuns: 200 },
  );
});

// The kernel's randomized self-test: many peers and routes, many of them made by changing a few bits of another, so that they nest. The naive twin is a map a
// prefix length, asked from the longest to the shortest. Lookups stand between the changes: what a thread remembers must not outlive them.
describe("a table of thousands of prefixes", () => {
  const PEERS = 2000;
  const seed = Date.now() & 0xffffff;
  const dice = new Dice(randomOf(seed));
  const limits = { ...LIMITS, peers: PEERS, trieNodes: 65_536 };
  const key = (ip: Ip, prefix: number): string => String.fromCharCode(...mask(ip, prefix).ip);
  const change = (ip: Ip): Ip => {
    const out = ip.slice();
    for (let n = dice.below(5); n >= 0; n--) out[dice.below(out.length)]! ^= 1 << dice.below(8);
    return out;
  };

  test.for([4, 16])(`agrees with maps, also while it changes: addresses of %i bytes (seed ${seed})`, (family) => {
    const { ips, lookup } = trie(limits);
    const maps = Array.from({ length: 8 * family + 1 }, () => new Map<string, number>());
    const naive = (ip: Ip): number => {
      for (let p = 8 * family; p >= 0; p--) {
        const owner = maps[p]!.size > 0 ? maps[p]!.get(key(ip, p)) : undefined;
        if (owner !== undefined) return owner;
      }
      return -1;
    };
    const known: Ip[] = [];
    const probe = (n: number): void => {
      for (let i = 0; i < n; i++) {
        const ip = dice.chance(0.7) ? change(dice.pick(known)) : dice.chance(0.5) ? dice.pick(known) : dice.bytes(family);
        if (lookup(ip) !== naive(ip)) expect(lookup(ip), `${ip.join(".")}`).toBe(naive(ip));
      }
    };
    for (let route = 0; route < 200 / family; route++) {
      let ip: Ip = dice.bytes(family);
      for (let i = 0; i < 100; i++) {
        const prefix = 1 + dice.below(8 * family);
        const peer = dice.below(PEERS);
        known.push(ip);
        expect(ips.add(peer, mask(ip, prefix))).toBe(true);
        maps[prefix]!.set(key(ip, prefix), peer);
        ip = change(dice.pick(known));
        if (i % 10 === 0) probe(4);
      }
    }
    probe(8000 / family);
    // Peer by peer it goes away again.
    const owned = Array.from({ length: PEERS }, (_, peer) => [...ips.of(peer)]);
    expect(owned.flat().length).toBe(maps.reduce((sum, m) => sum + m.size, 0));
    for (let peer = 0; peer < PEERS; peer++) {
      ips.clear(peer);
      for (const { ip, prefix } of owned[peer]!) maps[prefix]!.delete(key(ip, prefix));
      if (peer % 40 === 0) probe(10);
    }
    expect(maps.every((m) => m.size === 0)).toBe(true);
    expect(ips.nodesInUse).toBe(0);
  });

  test("a walk takes no more steps than a prefix has bits, whatever the size: each goes to a longer prefix that begins with the last", () => {
    for (const family of [4, 16]) {
      const big = { ...LIMITS, peers: 4096, trieNodes: 200_000 };
      const tables = createTables(new ArrayBuffer(tablesSize(big)), 0, big);
      initTables(tables);
      const ips = new AllowedIps(tables, new Reclaimer(tables));
      let prefixes = 0;
      const count = family === 4 ? 100_000 : 20_000;
      for (let i = 0; i < count; i++) {
        const ip = family === 4 ? new Uint8Array([10, i >> 16, i >> 8, i]) : dice.bytes(16);
        prefixes += ips.add(i % 4096, mask(ip, i % 7 === 0 ? 8 * family - dice.below(8) : 8 * family)) ? 1 : 0;
      }
      expect(prefixes).toBe(count);
      expect(ips.nodesInUse).toBeLessThanOrEqual(2 * count);
      const { i32, nodes, head } = tables;
      let deepest = 0;
      const walk = (node: number, shorter: number, depth: number): void => {
        if (node === 0) return;
        const at = nodes + node * Node.WORDS;
        const prefix = i32[at + Node.META]! & 255;
        if (prefix <= shorter || prefix > 8 * family) throw new Error(`a child of /${shorter} is a /${prefix}`);
        deepest = Math.max(deepest, depth);
        walk(i32[at + Node.CHILD]!, prefix, depth + 1);
        walk(i32[at + Node.CHILD + 1]!, prefix, depth + 1);
      };
      walk(i32[head + (family === 4 ? Head.ROOT4 : Head.ROOT6)]!, -1, 1);
      // Neighbours share their bits, strangers part early.
      expect(deepest).toBeLessThanOrEqual(family === 4 ? 24 : 60);
      for (let peer = 0; peer < 4096; peer++) ips.clear(peer);
      expect(ips.nodesInUse).toBe(0);
    }
  });

  test("what was found is remembered until any prefix changes, for each thread by itself", () => {
    const size = tablesSize(LIMITS);
    const memory = new ArrayBuffer(size + 64);
    const control = createTables(memory, 0, LIMITS);
    initTables(control);
    const ips = new AllowedIps(control, new Reclaimer(control));
    const threads = [1, 2].map(() => createTables(memory, 0, LIMITS));
    const ask = (text: string): number[] => {
      const ip = parseIp(text)!;
      control.u8.set(ip, size);
      return threads.flatMap((t) => [1, 2].map(() => (ip.length === 4 ? lookup4(t, size) : lookup6(t, size))));
    };
    for (const [prefix, longer, ip] of [
      ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3"],
      ["fd00::/16", "fd00:1::/32", "fd00:1::2"],
      ["0.0.0.0/0", "0.0.0.0/32", "0.0.0.0"],
      ["::/0", "::/128", "::"],
    ] as const) {
      const want = (peer: number): void => expect(ask(ip), ip).toEqual([peer, peer, peer, peer]);
      want(-1);
      ips.add(3, cidr(prefix));
      want(3);
      ips.add(4, cidr(longer));
      want(4);
      ips.add(5, cidr(longer));
      want(5);
      ips.remove(5, cidr(longer));
      want(3);
      ips.clear(3);
      want(-1);
    }
  });
});
