// What a node ends up with depends on the last state, not on the way there: random histories of a cluster are played into a model of the kernel and of a
// device by the very lines and operations that the drivers send, with losses of memory (full comparisons) in between.
import fc from "fast-check";
import { expect, test } from "vitest";
import { fromBase64, toBase64 } from "../../base/bytes.ts";
import { formatCidr } from "../../base/cidr.ts";
import { formatEndpoint } from "../../base/ip.ts";
import type { DeviceConfig } from "../../uapi/types.ts";
import { desiredState } from "../calc/desired.ts";
import type { Desired, Inputs } from "../calc/types.ts";
import { block, cluster, felix, key, mac, node } from "../calc/world.cases.ts";
import { difference, type Sort, type State, wanted } from "./plan.ts";
import { changeOf, type DeviceView, targetOf } from "./wireguard.ts";

const SORTS: readonly Sort[] = ["address", "neighbour", "table", "main", "rule", "forwarding"];

/** A kernel that knows the words it was told, by what they are about. */
class Kernel {
  readonly state: Record<Sort, Map<string, string>> = {
    address: new Map(),
    neighbour: new Map(),
    table: new Map(),
    main: new Map(),
    rule: new Map(),
    forwarding: new Map(),
  };
  tell(line: string): void {
    const [, object, verb, words] = /^(\w+) (\w+) (.*)$/.exec(line)!;
    const sort = this.#sortOf(object!, words!);
    const id = this.#identity(sort, words!);
    if (verb === "del") {
      if (!this.state[sort].delete(id)) throw new Error(`No such thing: ${line}`);
    } else if (verb === "add" && this.state[sort].has(id)) throw new Error(`File exists: ${line}`);
    else this.state[sort].set(id, words!);
  }
  #sortOf(object: string, words: string): Sort {
    if (object === "route") return words.endsWith("table 254") ? "main" : "table";
    return ({ address: "address", neigh: "neighbour", rule: "rule", fdb: "forwarding" } as const)[object]!;
  }
  #identity(sort: Sort, words: string): string {
    if (sort === "table" || sort === "main") return /(\d+\.\d+\.\d+\.\d+\/\d+)/.exec(words)![1]! + / table \d+$/.exec(words)![0];
    return sort === "rule" || sort === "address" ? words : words.split(" ")[0]!;
  }
  has(want: State): void {
    for (const sort of SORTS) expect([...this.state[sort].values()].toSorted()).toEqual([...want[sort].values()].toSorted());
  }
}

/** A device that gives each prefix to one peer, as WireGuard does. */
class Device {
  publicKey: string | undefined;
  listenPort = 0;
  fwmark = 0;
  readonly peers = new Map<string, { endpoint: string | undefined; keepalive: number; allowedIps: Set<string> }>();
  tell(config: DeviceConfig): void {
    if (config.privateKey) this.publicKey = key(1);
    this.listenPort = config.listenPort ?? this.listenPort;
    this.fwmark = config.fwmark ?? this.fwmark;
    for (const p of config.peers ?? []) {
      const id = toBase64(p.publicKey);
      if (p.remove) this.peers.delete(id);
      else {
        const known = this.peers.get(id);
        if (p.updateOnly && !known) throw new Error("update_only of no peer");
        const peer = known ?? { endpoint: undefined, keepalive: 0, allowedIps: new Set<string>() };
        this.peers.set(id, peer);
        if (p.endpoint) peer.endpoint = formatEndpoint(p.endpoint.ip, p.endpoint.port);
        peer.keepalive = p.persistentKeepalive ?? peer.keepalive;
        if (p.replaceAllowedIps) peer.allowedIps.clear();
        for (const cidr of p.allowedIps ?? []) {
          for (const other of this.peers.values()) other.allowedIps.delete(formatCidr(cidr));
          peer.allowedIps.add(formatCidr(cidr));
        }
      }
    }
  }
  get view(): DeviceView {
    return structuredClone({ publicKey: this.publicKey, listenPort: this.listenPort, fwmark: this.fwmark, peers: this.peers });
  }
}

const optional = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined });
const worlds: fc.Arbitrary<Inputs> = fc
  .record({
    nodes: fc.array(
      fc.record({
        // Few values, so that keys and addresses collide and move.
        ip: optional(fc.constantFrom("192.168.10.102/24", "192.168.20.100/24", "192.168.10.103/24")),
        key: optional(fc.constantFrom(key(1), key(2), key(3), key(4), "bad")),
        wg: optional(fc.constantFrom("172.16.2.0", "172.16.3.0", "172.16.2.5")),
        vxlan: optional(fc.constantFrom("172.16.2.1", "172.16.3.1")),
        mac: optional(fc.constantFrom(mac(2), mac(3))),
      }),
      { maxLength: 3 },
    ),
    owners: fc.array(fc.constantFrom("k8s-w1", "a", "b", "c"), { minLength: 3, maxLength: 3 }),
    borrower: fc.constantFrom("k8s-w1", "a", "b"),
    spec: fc.record({
      wireguardEnabled: fc.constantFrom(true, true, false),
      wireguardKeepAlive: fc.constantFrom("0s", "25s"),
      wireguardListeningPort: fc.constantFrom(51820, 7),
    }),
    priority: fc.constantFrom(99, 5),
  })
  .map(({ nodes, owners, borrower, spec, priority }) =>
    cluster({
      nodes: [
        node("k8s-w1", { ip: "192.168.10.101/24", wg: "172.16.1.0", vxlan: "172.16.1.1" }),
        ...nodes.map((shape, i) => node("abc"[i]!, Object.fromEntries(Object.entries(shape).filter(([, v]) => v !== undefined)))),
      ],
      blocks: owners.map((owner, i) => block(`172.16.${i + 1}.0/24`, owner, i === 1 ? { "172.16.2.9": borrower } : {})),
      felixConfigurations: [felix("default", { ...spec, wireguardRoutingRulePriority: priority })],
    }),
  );

test("any history ends in what its last state wants", () => {
  fc.assert(
    fc.property(fc.array(fc.record({ world: worlds, forget: fc.boolean(), again: fc.boolean() }), { minLength: 1, maxLength: 6 }), (history) => {
      const kernel = new Kernel();
      const device = new Device();
      let remembered: State | undefined;
      let last: Desired | undefined;
      for (const { world, forget, again } of history.flatMap((h) => (h.again ? [h, h] : [h]))) {
        const desired = desiredState(world);
        const want = wanted(desired);
        const have = forget || !remembered ? reread(kernel.state, want) : remembered;
        for (const program of ["ip", "bridge"] as const) for (const line of difference(have, want, SORTS, program)) kernel.tell(line);
        remembered = want;
        last = desired;
        if (desired.encryption) {
          const change = changeOf(device.view, targetOf(desired.encryption, key(1)), fromBase64(key(9))!);
          if (change) device.tell(change.config);
          expect(device.view).toEqual(targetOf(desired.encryption, key(1)));
          if (again) expect(changeOf(device.view, targetOf(desired.encryption, key(1)), new Uint8Array(32))).toBeUndefined();
        }
      }
      kernel.has(wanted(last!));
    }),
    { numRuns: 300 },
  );
});

/** The kernel's things under the identities that `want` uses for the same words, or for the same prefix or address. */
function reread(have: Record<Sort, Map<string, string>>, want: State): State {
  const prefix = (words: string): string => /(\d+\.\d+\.\d+\.\d+\/\d+)/.exec(words)?.[1] ?? words.split(" ")[0]!;
  const rename = (sort: Sort): Map<string, string> =>
    new Map(
      [...have[sort].values()].map((words) => {
        const same = [...want[sort]].find(([, w]) => (sort === "rule" || sort === "address" ? w === words : prefix(w) === prefix(words)));
        return [same?.[0] ?? words, words];
      }),
    );
  return Object.fromEntries(SORTS.map((sort) => [sort, rename(sort)])) as unknown as State;
}
