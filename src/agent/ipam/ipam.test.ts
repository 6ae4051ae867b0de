import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BLOCK_AFFINITY } from "../../api/blockaffinity.ts";
import { CLUSTER_INFORMATION } from "../../api/clusterinformation.ts";
import { IPAM_BLOCK } from "../../api/ipamblock.ts";
import { IPAM_CONFIGURATION, type IPAMConfigurationSpec } from "../../api/ipamconfiguration.ts";
import { IPAM_HANDLE } from "../../api/ipamhandle.ts";
import { IP_POOL, type IPPoolSpec } from "../../api/ippool.ts";
import { NAMESPACE } from "../../api/namespace.ts";
import { NODE } from "../../api/node.ts";
import type { Client } from "../../client/types.ts";
import { allocations, ownerOf } from "./block.ts";
import { memoryClient } from "./client.cases.ts";
import { assignPodAddress, podHandle, releasePodAddress } from "./index.ts";
import { assign, release, releaseAddress } from "./ipam.ts";

type Fake = ReturnType<typeof memoryClient>;
const pool = async (client: Client, spec: IPPoolSpec, name = "pool"): Promise<void> => {
  await client.create(IP_POOL, { apiVersion: "projectcalico.org/v3", kind: "IPPool", metadata: { name }, spec });
};
const used = (client: Fake): { address: string; handle: string | undefined }[] =>
  client.all(IPAM_BLOCK).flatMap((b) => allocations(b.spec).map(({ address, handle }) => ({ address, handle })));
const pod = (node: string, name: string): { node: string; namespace: string; pod: string } => ({ node, namespace: "default", pod: name });

/** What must hold between blocks, handles and affinities whatever happened before. */
function expectConsistent(client: Fake): void {
  const addresses = used(client).map((a) => a.address);
  expect(new Set(addresses).size).toBe(addresses.length);
  const counted = new Map<string, Record<string, number>>();
  for (const b of client.all(IPAM_BLOCK))
    for (const { handle } of allocations(b.spec)) {
      const of = counted.get(handle!) ?? {};
      of[b.spec.cidr] = (of[b.spec.cidr] ?? 0) + 1;
      counted.set(handle!, of);
    }
  expect(Object.fromEntries(client.all(IPAM_HANDLE).map((h) => [h.spec.handleID, h.spec.block]))).toEqual(Object.fromEntries(counted));
  const owners = client.all(IPAM_BLOCK).map((b) => `${ownerOf(b.spec)} ${b.spec.cidr} confirmed`);
  expect(
    client
      .all(BLOCK_AFFINITY)
      .map((a) => `${a.spec.node} ${a.spec.cidr} ${a.spec.state}`)
      .toSorted(),
  ).toEqual(owners.toSorted());
}

describe("assign()", () => {
  test("gives each node a block of its own, named and marked as Calico does", async () => {
    const client = memoryClient();
    await pool(client, { cidr: "172.16.0.0/16", blockSize: 24 });
    const a = await assignPodAddress(client, pod("k8s-w1", "pod1"));
    const b = await assignPodAddress(client, pod("k8s-w2", "pod2"));
    const c = await assignPodAddress(client, pod("k8s-w1", "pod3"));
    expect(a.block).toMatch(/^172\.16\.[0-9]+\.0\/24$/);
    expect(b.block).not.toBe(a.block);
    expect(c.block).toBe(a.block);
    const block = await client.get(IPAM_BLOCK, a.block.replace(/[./]/g, "-"));
    expect(block.spec.affinity).toBe("host:k8s-w1");
    expect(block.spec.allocations.slice(0, 3)).toEqual([0, 1, null]);
    expect(block.spec.attributes[0]).toEqual({
      handle_id: "k8s-pod-network.default.pod1",
      secondary: { node: "k8s-w1", namespace: "default", pod: "pod1" },
    });
    expectConsistent(client);
  });

  test("gives the same address again for the same handle", async () => {
    const client = memoryClient();
    await pool(client, { cidr: "10.0.0.0/24" });
    expect(await assignPodAddress(client, pod("n", "p"))).toEqual(await assignPodAddress(client, pod("n", "p")));
    expect(used(client)).toHaveLength(1);
  });

  test("uses the pool's default block size when it names none", async () => {
    const client = memoryClient();
    await pool(client, { cidr: "10.0.0.0/24" });
    expect((await assignPodAddress(client, pod("n", "p"))).block).toMatch(/\/26$/);
  });

  test("borrows from another node's block when no block is free", async () => {
    const client = memoryClient();
    await pool(client, { cidr: "10.0.0.0/30", blockSize: 30 });
    const owner = await assignPodAddress(client, pod("a", "p1"));
    const borrowed = await assignPodAddress(client, pod("b", "p2"));
    expect(borrowed.block).toBe(owner.block);
    expect(ownerOf(client.all(IPAM_BLOCK)[0]!.spec)).toBe("a");
    expectConsistent(client);
  });

  test("says so when every address is taken, and leaves nothing behind", async () => {
    const client = memoryClient();
    await pool(client, { cidr: "10.0.0.0/31", blockSize: 31 });
    await assignPodAddress(client, pod("a", "p1"));
    await assignPodAddress(client, pod("a", "p2"));
    await expect(assignPodAddress(client, pod("a", "p3"))).rejects.toThrow(/every block of 10.0.0.0\/31 that it may use is full/);
    expectConsistent(client);
  });

  test.for([
    ["disabled", { cidr: "10.0.0.0/24", disabled: true }],
    ["for tunnels only", { cidr: "10.0.0.0/24", allowedUses: ["Tunnel"] }],
    ["of the other family", { cidr: "fd00::/112", blockSize: 122 }],
    ["for other nodes", { cidr: "10.0.0.0/24", nodeSelector: "zone == 'b'" }],
    ["for other namespaces", { cidr: "10.0.0.0/24", namespaceSelector: "team == 'b'" }],
    ["given out by hand", { cidr: "10.0.0.0/24", assignmentMode: "Manual" }],
  ] as [string, IPPoolSpec][])("takes nothing from a pool that is %s", async ([, spec]) => {
    const client = memoryClient();
    await pool(client, spec);
    await expect(assignPodAddress(client, pod("a", "p"))).rejects.toThrow(/no IPPool allows it/);
    expect(used(client)).toEqual([]);
  });

  test("takes from the pool that selects the node, by its labels of now", async () => {
    const client = memoryClient();
    const label = async (zone: string): Promise<void> => {
      const node = await client.get(NODE, "n").catch(() => undefined);
      const labelled = { apiVersion: "v1", kind: "Node", metadata: { ...node?.metadata, name: "n", labels: { zone } } };
      await (node ? client.update(NODE, labelled) : client.create(NODE, labelled));
    };
    await pool(client, { cidr: "10.1.0.0/24", nodeSelector: "zone == 'a'" }, "a");
    await pool(client, { cidr: "10.2.0.0/24", nodeSelector: "has(zone) && zone not in {'a'}" }, "b");
    await pool(client, { cidr: "10.3.0.0/24", nodeSelector: "!has(zone)" }, "c");
    expect((await assignPodAddress(client, pod("unknown", "p0"))).address).toMatch(/^10\.3\./);
    await label("a");
    expect((await assignPodAddress(client, pod("n", "p1"))).address).toMatch(/^10\.1\./);
    await label("b");
    expect((await assignPodAddress(client, pod("n", "p2"))).address).toMatch(/^10\.2\./);
    // What no longer selects the node is left: a pod that asks again moves, as its old pool's addresses are not to be used here.
    expect((await assignPodAddress(client, pod("n", "p1"))).address).toMatch(/^10\.2\./);
    expectConsistent(client);
  });

  test("a pool's namespaceSelector is for pods: by their namespace's labels; tunnels do not mind", async () => {
    const client = memoryClient();
    await client.create(NAMESPACE, { apiVersion: "v1", kind: "Namespace", metadata: { name: "default", labels: { team: "red" } } });
    await pool(client, { cidr: "10.1.0.0/24", namespaceSelector: "team == 'blue'" }, "blue");
    await pool(client, { cidr: "10.2.0.0/24", namespaceSelector: "team == 'red'" }, "red");
    expect((await assignPodAddress(client, pod("n", "p"))).address).toMatch(/^10\.2\./);
    const tunnel = await assign(client, { node: "other", handle: "t", use: "Tunnel", attributes: { node: "other" } });
    expect(tunnel.address).toMatch(/^10\.1\./);
  });

  test("IPv6: blocks of /122 of pools of any size, beside the handle's IPv4 address", async () => {
    const client = memoryClient();
    await pool(client, { cidr: "10.0.0.0/24" }, "four");
    await pool(client, { cidr: "fd00:10::/48" }, "six");
    const four = await assignPodAddress(client, pod("n", "p"));
    const six = await assignPodAddress(client, pod("n", "p"), 6);
    expect(four.address).toMatch(/^10\.0\.0\./);
    expect(six.address).toMatch(/^fd00:10:/);
    expect(six.block).toMatch(/\/122$/);
    expect(client.all(IPAM_BLOCK).map((b) => b.spec.allocations.length)).toEqual([64, 64]);
    // Again: the same ones, neither in the other's place.
    expect(await assignPodAddress(client, pod("n", "p"))).toEqual(four);
    expect(await assignPodAddress(client, pod("n", "p"), 6)).toEqual(six);
    expectConsistent(client);
    await client.update(IP_POOL, { ...(await client.get(IP_POOL, "six")), spec: { cidr: "fd00:10::/48", disabled: true } });
    await pool(client, { cidr: "fd00:20::/120", blockSize: 124 }, "other");
    expect((await assignPodAddress(client, pod("n", "p"), 6)).block).toMatch(/^fd00:20::.*\/124$/);
    expect(await assignPodAddress(client, pod("n", "p"))).toEqual(four);
    expectConsistent(client);
    await releasePodAddress(client, { namespace: "default", pod: "p" });
    expect(used(client)).toEqual([]);
    expectConsistent(client);
  });

  test("the limit of blocks a node counts each version by itself", async () => {
    const client = memoryClient();
    await pool(client, { cidr: "10.0.0.0/24" }, "four");
    await pool(client, { cidr: "fd00::/112" }, "six");
    await client.create(IPAM_CONFIGURATION, {
      apiVersion: "projectcalico.org/v3",
      kind: "IPAMConfiguration",
      metadata: { name: "default" },
      spec: { strictAffinity: true, maxBlocksPerHost: 1 },
    });
    for (const version of [4, 6] as const) await assignPodAddress(client, pod("n", "p"), version);
    expect(client.all(IPAM_BLOCK)).toHaveLength(2);
  });

  test("moves a tunnel address out of a pool that is no longer usable", async () => {
    const client = memoryClient();
    await pool(client, { cidr: "10.0.0.0/24" }, "old");
    const request = { node: "n", handle: "wireguard-tunnel-addr-n", use: "Tunnel", attributes: { node: "n" } } as const;
    const before = await assign(client, request);
    await client.update(IP_POOL, { ...(await client.get(IP_POOL, "old")), spec: { cidr: "10.0.0.0/24", disabled: true } });
    await pool(client, { cidr: "10.1.0.0/24" }, "new");
    const after = await assign(client, request);
    expect(before.address).toMatch(/^10\.0\./);
    expect(after.address).toMatch(/^10\.1\./);
    expect(used(client).map((a) => a.address)).toEqual([after.address]);
  });

  test("finishes a claim that an earlier process left pending", async () => {
    const client = memoryClient();
    await pool(client, { cidr: "10.0.0.0/28", blockSize: 28 });
    await client.create(BLOCK_AFFINITY, {
      apiVersion: "projectcalico.org/v3",
      kind: "BlockAffinity",
      metadata: { name: "n-10-0-0-0-28" },
      spec: { state: "pending", node: "n", type: "host", cidr: "10.0.0.0/28", deleted: false },
    });
    await assignPodAddress(client, pod("n", "p"));
    expectConsistent(client);
  });
});

describe("the administrators' settings", () => {
  const configure = (client: Client, spec: IPAMConfigurationSpec): Promise<unknown> =>
    client.create(IPAM_CONFIGURATION, { apiVersion: "projectcalico.org/v3", kind: "IPAMConfiguration", metadata: { name: "default" }, spec });

  test("strict affinity: nothing is borrowed, and new blocks say so", async () => {
    const client = memoryClient();
    await pool(client, { cidr: "10.0.0.0/30", blockSize: 30 });
    await configure(client, { strictAffinity: true });
    await assignPodAddress(client, pod("a", "p1"));
    expect(client.all(IPAM_BLOCK)[0]!.spec.strictAffinity).toBe(true);
    await expect(assignPodAddress(client, pod("b", "p2"))).rejects.toThrow("every block of 10.0.0.0/30 that it may use is full");
    expectConsistent(client);
  });

  test.for<IPAMConfigurationSpec & { blocks: number }>([
    { strictAffinity: true, maxBlocksPerHost: 2, blocks: 2 },
    { strictAffinity: true, maxBlocksPerHost: 0, blocks: 4 },
    { strictAffinity: true, maxBlocksPerHost: 2, autoAllocateBlocks: false, blocks: 0 },
  ])("a node claims no more blocks than %j", async ({ blocks, ...spec }) => {
    const client = memoryClient();
    await pool(client, { cidr: "10.0.0.0/28", blockSize: 30 });
    await configure(client, spec);
    for (let i = 0; i < 4 * blocks; i++) await assignPodAddress(client, pod("a", `p${i}`));
    await expect(assignPodAddress(client, pod("a", "more"))).rejects.toThrow("that it may use is full");
    expect(client.all(IPAM_BLOCK)).toHaveLength(blocks);
    expectConsistent(client);
  });

  test("nothing new is given out while the datastore is locked; what is held stays", async () => {
    const client = memoryClient();
    await pool(client, { cidr: "10.0.0.0/24" });
    const before = await assignPodAddress(client, pod("a", "p1"));
    await client.create(CLUSTER_INFORMATION, {
      apiVersion: "projectcalico.org/v3",
      kind: "ClusterInformation",
      metadata: { name: "default" },
      spec: { datastoreReady: false },
    });
    expect(await assignPodAddress(client, pod("a", "p1"))).toEqual(before);
    await expect(assignPodAddress(client, pod("a", "p2"))).rejects.toThrow("Cannot give out addresses: the datastore is locked");
  });
});

test("releaseAddress() frees one address and its count, only while it is what was meant", async () => {
  const client = memoryClient();
  await pool(client, { cidr: "10.0.0.0/28", blockSize: 30 });
  const [a, b] = [await assignPodAddress(client, pod("n", "a")), await assignPodAddress(client, pod("n", "b"))];
  expect(await releaseAddress(client, "10.9.9.9")).toBe(false);
  expect(await releaseAddress(client, a.address, (held) => held.handle === b.handle)).toBe(false);
  expect(used(client)).toHaveLength(2);
  expect(await releaseAddress(client, a.address, (held) => held.handle === a.handle)).toBe(true);
  expect(await releaseAddress(client, a.address)).toBe(false);
  expect(used(client)).toEqual([{ address: b.address, handle: b.handle }]);
  expectConsistent(client);
});

test("a released address is the last to be given again", async () => {
  const client = memoryClient();
  await pool(client, { cidr: "10.0.0.0/30", blockSize: 30 });
  const order: string[] = [];
  for (let i = 0; i < 6; i++) {
    order.push((await assignPodAddress(client, pod("n", `p${i}`))).address);
    await releasePodAddress(client, { namespace: "default", pod: `p${i}` });
  }
  expect(order).toEqual(["10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.0", "10.0.0.1"]);
  expectConsistent(client);
});

test("any interleaving of assignments and releases by several nodes keeps blocks, handles and affinities consistent", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.record({ pod: fc.integer({ min: 0, max: 4 }), remove: fc.boolean() }), { maxLength: 6 }), { minLength: 2, maxLength: 5 }),
      fc.infiniteStream(fc.integer({ min: 0, max: 5 })),
      fc.constantFrom(28, 29, 30, 31),
      async (nodes, turns, blockSize) => {
        const client = memoryClient({ turns: () => turns.next().value! });
        await pool(client, { cidr: "10.0.0.0/27", blockSize });
        const held = new Map<string, string>();
        await Promise.all(
          nodes.map(async (steps, n) => {
            for (const step of steps) {
              const ref = pod(`n${n}`, `n${n}-p${step.pod}`);
              if (step.remove) {
                await release(client, podHandle(ref));
                held.delete(podHandle(ref));
              } else held.set(podHandle(ref), (await assignPodAddress(client, ref)).address);
            }
          }),
        );
        expect(Object.fromEntries(used(client).map((a) => [a.handle, a.address]))).toEqual(Object.fromEntries(held));
        expectConsistent(client);
      },
    ),
    { numRuns: 150 },
  );
});
