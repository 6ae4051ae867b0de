import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseIp } from "../../base/ip.ts";
import { ethernet, icmp, ipv4, ipv6, udp } from "../../packet/build.ts";
import { graphOf, inOrder, threaded } from "./blocks.ts";
import { compileFilter, FilterError, listing, packetFilter, runProgram } from "./index.ts";

// The listing that tcpdump 4.99 with libpcap 1.10 prints for `tcpdump -ddd -y EN10MB udp port 51820`.
const UDP_51820 =
  "20·40 0 0 12·21 0 6 34525·48 0 0 20·21 0 15 17·40 0 0 54·21 12 0 51820·40 0 0 56·21 10 11 51820·21 0 10 2048·48 0 0 23·21 0 8 17·40 0 0 20·" +
  "69 6 0 8191·177 0 0 14·72 0 0 14·21 2 0 51820·72 0 0 16·21 0 1 51820·6 0 0 262144·6 0 0 0·";
test("`udp port 51820` is the program that libpcap makes", () =>
  expect(listing(compileFilter("udp port 51820", 1))).toBe(UDP_51820.replaceAll("·", "\n")));

test("equal precedence: `tcp or udp and port 8080` is `(tcp or udp) and port 8080`", () =>
  expect(compileFilter("tcp or udp and port 8080", 1)).toEqual(compileFilter("(tcp or udp) and port 8080", 1)));

test.for<[string, number, number]>([
  ["", 1, 1],
  ["   ", 1, 1],
  ["1 = 1", 1, 4],
  ["udp or not udp", 1, 1],
  ["arp", 101, 1],
])("%j for link type %d has %d instructions", ([expression, link, length]) => expect(compileFilter(expression, link)).toHaveLength(length));

describe("errors say where and what was meant", () => {
  test.for<[string, number, string | undefined]>([
    ["udp 51820", 4, "udp port 51820"],
    ["icmp or udp 51820", 12, "icmp or udp port 51820"],
    ["not tcp 22 and arp", 8, "not tcp port 22 and arp"],
    ["51820", 0, "port 51820"],
    ["upd port 51820", 0, "udp port 51820"],
    ["udp prot 51820", 4, "udp port 51820"],
    ["port udp 51820", 5, "udp port 51820"],
    ["udp dst 53", 8, "udp dst port 53"],
    ["tcp 1.2.3.4", 4, "tcp and host 1.2.3.4"],
    ["udp icmp", 4, "udp and icmp"],
    ["udp port", 8, undefined],
    ["udp port 65536", 9, undefined],
    ["(udp or tcp", 11, undefined],
    ["udp)", 3, undefined],
    ["host example.com", 5, undefined],
    ["udp[0:3] = 1", 6, undefined],
    ["ip[0] / 0 = 1", 6, undefined],
    ["udp ; tcp", 4, undefined],
    ["ip host fe80::1", 8, undefined],
    ["net 10.0.0.1/8", 4, undefined],
    ["net 10.0.0.0 mask 255.0.255.0", 4, undefined],
    ["udp and", 7, undefined],
  ])("%j at %d: did you mean %j?", ([expression, at, suggestion]) => {
    let thrown: unknown;
    try {
      compileFilter(expression, 1);
    } catch (e) {
      thrown = e;
    }
    expect(thrown).toBeInstanceOf(FilterError);
    const error = thrown as FilterError;
    expect([error.at, error.suggestion]).toEqual([at, suggestion]);
    expect(error.message).toContain(`at character ${at + 1}`);
    if (suggestion !== undefined) {
      expect(error.hint).toContain(`did you mean \`${suggestion}\`?`);
      compileFilter(suggestion, 1);
    }
  });
  test("any text is compiled or refused, never worse", () => {
    const words = fc.array(
      fc.constantFrom(..."udp tcp port host net and or not ( ) [ ] 10.0.0.1 fe80::1 53 = < & len vlan src dst mask / ether".split(" ")),
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          words.map((w) => w.join(" ")),
        ),
        fc.constantFrom(1, 101, 276),
        (text, link) => {
          try {
            runProgram(compileFilter(text, link), new Uint8Array(60));
          } catch (e) {
            if (!(e as Error).message.startsWith("Cannot ")) throw e;
          }
        },
      ),
      { numRuns: 1000 },
    );
  });
  test("nesting is bounded", () => {
    for (const text of ["(", "not "].map((t) => `${t.repeat(10_000)}udp`)) expect(() => compileFilter(text, 1)).toThrow(/nested too deeply/);
    expect(() => compileFilter(`${"-".repeat(10_000)}1 = 1`, 1)).toThrow(FilterError);
  });
});

const A = parseIp("10.0.0.1")!;
const A6 = parseIp("fd00::1")!;
const MAC = new Uint8Array(6);
const frame4 = (payload: Uint8Array, port = 9): Uint8Array =>
  ethernet(MAC, MAC, 0x800, ipv4({ src: A, dst: A, protocol: 17 }, udp(A, A, port, port, payload)));
const frame6 = (payload: Uint8Array, port = 9): Uint8Array =>
  ethernet(MAC, MAC, 0x86dd, ipv6({ src: A6, dst: A6, protocol: 17 }, udp(A6, A6, port, port, payload)));
const message = (type: number, length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i === 0 ? type : 0));

describe("the macro `wireguard`", () => {
  const pass = packetFilter("wireguard", 1, { wireguardPorts: [51820, 51821] });
  test.for<[string, Uint8Array, boolean]>([
    ["an initiation on any port, IPv4", frame4(message(1, 148)), true],
    ["a keepalive on any port, IPv6", frame6(message(4, 32)), true],
    ["anything on a configured port", frame4(new Uint8Array([9]), 51821), true],
    ["type 5", frame4(message(5, 148)), false],
    ["a message that is too short", frame4(message(4, 31)), false],
    ["an empty datagram", frame4(new Uint8Array(0)), false],
    ["reserved bytes", frame6(new Uint8Array(148).fill(1)), false],
  ])("%s", ([, frame, want]) => expect(pass(frame, frame.length)).toBe(want));
  test("can be negated: short packets are no error", () => {
    const ping = ethernet(MAC, MAC, 0x800, ipv4({ src: A, dst: A, protocol: 1 }, icmp(A, A, { type: 8 }, new Uint8Array(8))));
    const others = packetFilter("not wireguard", 1);
    expect([ping, frame4(new Uint8Array(0)), frame4(message(1, 148))].map((f) => others(f, f.length))).toEqual([true, true, false]);
  });
});

test("live VLAN tests ask the kernel, not the data", () => {
  const program = compileFilter("vlan 7", 1, { live: true });
  expect(program.filter((i) => i.k >= 0xfffff000).map((i) => i.k - 2 ** 32)).toEqual([-4096 + 48, -4096 + 44]);
  expect(compileFilter("outbound", 276, { live: true })[0]!.k - 2 ** 32).toBe(-4096 + 4);
});

test("link types that filters cannot do are refused by name", () => {
  for (const [expression, link] of [
    ["ether host 2:0:0:0:0:1", 101],
    ["vlan", 276],
    ["outbound", 1],
    ["udp", 147],
  ] as const) {
    expect(() => compileFilter(expression, link)).toThrow(/^Cannot filter/);
  }
});

test("programs longer than a jump reaches still jump to the right place", () => {
  const ports = Array.from({ length: 200 }, (_, i) => 1000 + 2 * i);
  const program = compileFilter(ports.map((p) => `udp port ${p}`).join(" or "), 1);
  expect(program.every((i) => i.jt < 256 && i.jf < 256)).toBe(true);
  for (const port of [1000, 1200, 1398, 1001, 1399, 999]) {
    const frame = frame4(new Uint8Array(4), port);
    expect([port, runProgram(program, frame) > 0]).toEqual([port, ports.includes(port)]);
  }
});

test("no test on a path repeats what the path has answered", () => {
  const x = { kind: "load", size: 2, k: 12 } as const;
  const is = (k: number) => ({ kind: "test", op: "=", left: x, right: { kind: "constant", k } }) as const;
  const either = { kind: "or", left: is(1), right: is(2) } as const;
  expect(inOrder(threaded(graphOf({ kind: "and", left: either, right: { kind: "not", of: is(1) } })))).toHaveLength(2);
  expect(threaded(graphOf({ kind: "and", left: either, right: { kind: "not", of: either } }))).toBe("reject");
});
