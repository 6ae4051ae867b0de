import { describe, expect, test } from "vitest";
import { fromBase64, toBase64 } from "../../base/bytes.ts";
import { formatCidr, parseCidr } from "../../base/cidr.ts";
import { parseIp } from "../../base/ip.ts";
import type { DeviceState, PeerState } from "../../uapi/types.ts";
import { desiredState } from "../calc/desired.ts";
import { cluster, felix, key, mac, withNode } from "../calc/world.cases.ts";
import { isLower } from "./greeter.ts";
import { changeOf, type DeviceView, targetOf, viewOf } from "./wireguard.ts";

const target = (world = cluster()): DeviceView => targetOf(desiredState(world).encryption!, key(1));
const secret = new Uint8Array(32).fill(77);
const fresh: DeviceView = { publicKey: undefined, listenPort: 0, fwmark: 0, peers: new Map() };

/** A change as short words. */
function told(have: DeviceView, want: DeviceView): string[] {
  const change = changeOf(have, want, secret);
  if (!change) return [];
  const { privateKey, listenPort, fwmark, peers = [] } = change.config;
  return [
    ...(privateKey ? ["key"] : []),
    ...(listenPort === undefined ? [] : [`port ${listenPort}`]),
    ...(fwmark === undefined ? [] : [`mark ${fwmark}`]),
    ...[...peers].map((p) =>
      [
        p.remove ? "remove" : p.updateOnly ? "update" : "add",
        p.publicKey[0],
        ...(p.endpoint ? [`at ${p.endpoint.ip.join(".")}:${p.endpoint.port}`] : []),
        ...(p.persistentKeepalive === undefined ? [] : [`keepalive ${p.persistentKeepalive}`]),
        ...(p.replaceAllowedIps ? ["only"] : []),
        ...[...(p.allowedIps ?? [])].map(formatCidr),
      ].join(" "),
    ),
  ];
}

test("a fresh device gets everything in one operation", () =>
  expect(told(fresh, target())).toEqual([
    "key",
    "port 51820",
    `mark ${0x200000}`,
    "add 3 at 192.168.20.100:51820 keepalive 0 only 172.16.3.0/24 172.16.3.0/32 172.16.3.1/32",
    "add 2 at 192.168.10.102:51820 keepalive 0 only 172.16.2.0/24 172.16.2.0/32 172.16.2.1/32",
  ]));
test("a device that is right is left alone", () => expect(changeOf(target(), target(), secret)).toBeUndefined());

const W2 = { ip: "192.168.10.102/24", key: key(2), wg: "172.16.2.0", vxlan: "172.16.2.1", mac: mac(2) };
describe("from the exercise's cluster to one with a change", () => {
  test.for([
    ["a prefix more: only that is added", { ...W2, wg: undefined }, W2, ["update 2 172.16.2.0/32"]],
    ["a prefix less: all are set anew", W2, { ...W2, wg: undefined }, ["update 2 only 172.16.2.0/24 172.16.2.1/32"]],
    ["another endpoint: only that", W2, { ...W2, ip: "192.168.10.9/24" }, ["update 2 at 192.168.10.9:51820"]],
    [
      "another key: the old peer goes first",
      W2,
      { ...W2, key: key(9) },
      ["remove 2", "add 9 at 192.168.10.102:51820 keepalive 0 only 172.16.2.0/24 172.16.2.0/32 172.16.2.1/32"],
    ],
    ["no key: the peer goes", W2, { ...W2, key: undefined }, ["remove 2"]],
    ["the key of another: both go", W2, { ...W2, key: key(3) }, ["remove 3", "remove 2"]],
  ] as const)("%s", ([, before, after, want]) => {
    const shape = (s: Record<string, string | undefined>): Parameters<typeof withNode>[2] =>
      Object.fromEntries(Object.entries(s).filter(([, v]) => v));
    const from = target(withNode(cluster(), "k8s-w2", shape(before)));
    expect(told(from, target(withNode(cluster(), "k8s-w2", shape(after))))).toEqual(want);
  });
  test("keepalive and port alone", () => {
    const spec = { wireguardEnabled: true, wireguardKeepAlive: "25s", wireguardListeningPort: 7 };
    expect(told(target(), target(cluster({ felixConfigurations: [felix("default", spec)] })))).toEqual([
      "port 7",
      "update 3 at 192.168.20.100:7 keepalive 25",
      "update 2 at 192.168.10.102:7 keepalive 25",
    ]);
  });
});

describe("after reading a device", () => {
  const read = (change: (peers: PeerState[]) => PeerState[]): DeviceState => {
    const peers = [...target().peers].map(([k, p]): PeerState => ({
      publicKey: fromBase64(k)!,
      presharedKey: new Uint8Array(32),
      endpoint: { ip: parseIp(p.endpoint!.split(":")[0]!)!, port: 51820 },
      lastHandshakeSec: 0,
      lastHandshakeNsec: 0,
      txBytes: 0,
      rxBytes: 0,
      persistentKeepalive: 0,
      allowedIps: [...p.allowedIps].map((a) => parseCidr(a)!),
    }));
    return { privateKey: secret, listenPort: 51820, fwmark: 0x200000, peers: change(peers) };
  };
  test.for([
    ["right", (p: PeerState[]) => p, []],
    ["with a stranger", (p: PeerState[]) => [...p, { ...p[0]!, publicKey: fromBase64(key(8))! }], ["remove 8"]],
    ["without a peer", (p: PeerState[]) => p.slice(1), ["add 3 at 192.168.20.100:51820 keepalive 0 only 172.16.3.0/24 172.16.3.0/32 172.16.3.1/32"]],
    [
      "with a peer that roamed",
      (p: PeerState[]) => [{ ...p[0]!, endpoint: { ip: parseIp("1.2.3.4")!, port: 9 } }, p[1]!],
      ["update 3 at 192.168.20.100:51820"],
    ],
    ["with a prefix missing", (p: PeerState[]) => [p[0]!, { ...p[1]!, allowedIps: [...p[1]!.allowedIps].slice(1) }], ["update 2 172.16.2.0/24"]],
    [
      "with a prefix too many",
      (p: PeerState[]) => [p[0]!, { ...p[1]!, allowedIps: [...p[1]!.allowedIps, parseCidr("10.0.0.0/8")!] }],
      ["update 2 only 172.16.2.0/24 172.16.2.0/32 172.16.2.1/32"],
    ],
  ] as const)("%s", ([, change, want]) => expect(told(viewOf(read(change as (p: PeerState[]) => PeerState[]), key(1)), target())).toEqual(want));
});

test("isLower() orders keys by their bytes, not by their text", () => {
  // base64 puts "/" and "+" below the letters, and lower case above upper case.
  const bytes = [0, 1, 0x68, 0x6b, 0xf8, 0xfb, 0xff].map((n) => toBase64(new Uint8Array(32).fill(n)));
  for (const [i, a] of bytes.entries()) for (const [j, b] of bytes.entries()) expect(isLower(a, b)).toBe(i < j);
});
