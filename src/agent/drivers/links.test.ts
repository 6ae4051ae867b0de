import { describe, expect, test } from "vitest";
import type { Link } from "../../sys/ip.ts";
import { desiredState } from "../calc/desired.ts";
import { cluster, mac } from "../calc/world.cases.ts";
import { shaped, vxlanLink, wireguardLink } from "./links.ts";

const { encryption, vxlan } = desiredState(cluster());
const [e, v] = [encryption!, vxlan!];
const add = `link add vxlan.calico address ${mac(1)} mtu 1450 type vxlan id 4096 local 192.168.10.101 dev ens5 dstport 4789 nolearning`;

test("from nothing both are made", () => {
  expect(wireguardLink([], e)).toEqual(["tuntap add dev wireguard.cali mode tun vnet_hdr", "link set dev wireguard.cali mtu 1440 up"]);
  expect(vxlanLink([], v)).toEqual([add, "link set dev vxlan.calico up"]);
});

describe("links that are there", () => {
  const right = shaped([], e, v);
  const changed = (name: string, change: Partial<Link>): Link[] => right.map((l) => (l.name === name ? { ...l, ...change } : l));
  const lines = (links: readonly Link[]): string[] => [...wireguardLink(links, e), ...vxlanLink(links, v)];
  test.for([
    ["right", right, []],
    ["with another MTU", changed("wireguard.cali", { mtu: 1420 }), ["link set dev wireguard.cali mtu 1440 up"]],
    ["down", changed("wireguard.cali", { up: false }), ["link set dev wireguard.cali mtu 1440 up"]],
    [
      "VXLAN with another hardware address",
      changed("vxlan.calico", { mac: mac(9) }),
      [`link set dev vxlan.calico address ${mac(1)} mtu 1450`, "link set dev vxlan.calico up"],
    ],
    [
      "VXLAN with another network",
      changed("vxlan.calico", { data: { ...right[1]!.data, id: 1 } }),
      ["link del dev vxlan.calico", add, "link set dev vxlan.calico up"],
    ],
    [
      "VXLAN that learns",
      changed("vxlan.calico", { data: { ...right[1]!.data, learning: true } }),
      ["link del dev vxlan.calico", add, "link set dev vxlan.calico up"],
    ],
  ] as [string, Link[], string[]][])("%s", ([, links, want]) => expect(lines(links)).toEqual(want));
  test("of another kind are not touched", () => {
    expect(() => lines(changed("wireguard.cali", { kind: "wireguard" }))).toThrow(/it exists and is no tun but wireguard/);
    expect(() => lines(changed("vxlan.calico", { kind: undefined }))).toThrow(/no vxlan but hardware/);
  });
});
