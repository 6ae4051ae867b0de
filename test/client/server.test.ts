// The client against the real server: resumes after kill -9, TLS with a client certificate, conflicts, expired revisions.
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { FELIX_CONFIGURATION, type FelixConfiguration } from "../../src/api/felixconfiguration.ts";
import { isAlreadyExists, isConflict, isNotFound } from "../../src/client/error.ts";
import { informer } from "../../src/client/informer.ts";
import { connectWith } from "../../src/client/node.ts";
import { RealServer } from "./server.ts";

const felix = (name: string, port?: number): FelixConfiguration => ({
  apiVersion: "projectcalico.org/v3",
  kind: "FelixConfiguration",
  metadata: { name },
  spec: port === undefined ? {} : { wireguardListeningPort: port },
});

/** The usual back-off would make the tests wait. */
const QUICK = { backoff: { firstMs: 80, maxMs: 1000, factor: 2, jitter: 1 }, healthyMs: 500 } as const;

describe("client and server", () => {
  let server: RealServer;
  beforeAll(async () => {
    server = new RealServer();
    await server.start();
  });
  afterAll(() => server.dispose());

  test("create, get, update, patch, delete, and what each refuses", async () => {
    const { client } = server;
    const made = await client.create(FELIX_CONFIGURATION, felix("node.a", 51820));
    expect(made.metadata.uid).toBeTruthy();
    expect(await client.create(FELIX_CONFIGURATION, felix("node.a")).catch(isAlreadyExists)).toBe(true);
    const updated = await client.update(FELIX_CONFIGURATION, { ...made, spec: { wireguardListeningPort: 1 } });
    expect(await client.update(FELIX_CONFIGURATION, made).catch(isConflict)).toBe(true);
    expect(updated.metadata.uid).toBe(made.metadata.uid);
    const patched = await client.patch(FELIX_CONFIGURATION, "node.a", { spec: { wireguardEnabled: true } });
    expect(patched.spec).toEqual({ wireguardListeningPort: 1, wireguardEnabled: true });
    const stale = client.delete(FELIX_CONFIGURATION, "node.a", { resourceVersion: made.metadata.resourceVersion! });
    expect(await stale.catch(isConflict)).toBe(true);
    await client.delete(FELIX_CONFIGURATION, "node.a");
    expect(await client.get(FELIX_CONFIGURATION, "node.a").catch(isNotFound)).toBe(true);
  });

  test("a dry run changes nothing", async () => {
    const { client } = server;
    await client.create(FELIX_CONFIGURATION, felix("node.dry"), { dryRun: true });
    expect(await client.get(FELIX_CONFIGURATION, "node.dry").catch(isNotFound)).toBe(true);
  });

  test("over TLS with the kubeconfig's client certificate", async () => {
    const tls = connectWith(server.kubeconfig);
    try {
      expect((await tls.list(FELIX_CONFIGURATION)).kind).toBe("FelixConfigurationList");
    } finally {
      await tls.close();
    }
  });

  test("an informer loses nothing over five kill -9 of the server, and repeats nothing", async () => {
    const { client } = server;
    const seen: string[] = [];
    const felixes = informer(client, FELIX_CONFIGURATION, { ...QUICK, onEvent: (type, o) => seen.push(`${type} ${o.metadata.name}`) });
    await felixes.start();
    seen.length = 0;
    const expected: string[] = [];
    for (let i = 0; i < 5; i++) {
      await client.create(FELIX_CONFIGURATION, felix(`node.before${i}`));
      await server.kill(); // the informer may or may not have seen it
      await server.start();
      await client.create(FELIX_CONFIGURATION, felix(`node.after${i}`));
      await client.delete(FELIX_CONFIGURATION, `node.before${i}`);
      expected.push(`ADDED node.before${i}`, `ADDED node.after${i}`, `DELETED node.before${i}`);
      await vi.waitFor(() => expect(seen).toEqual(expected), { timeout: 60_000, interval: 20 });
    }
    const listed = (await client.list(FELIX_CONFIGURATION)).items.map((o) => o.metadata.name).sort();
    expect(felixes.list().map((o) => o.metadata.name).sort()).toEqual(listed); // prettier-ignore
    await felixes.stop();
  });

  test("an informer that is started before the server comes up with it", async () => {
    await server.kill();
    const felixes = informer(server.client, FELIX_CONFIGURATION, QUICK);
    const started = felixes.start();
    await server.start({ wait: false });
    await started;
    expect(felixes.synced).toBe(true);
    await felixes.stop();
    await vi.waitFor(() => server.client.raw("GET", "/version"), { timeout: 60_000 });
  });
});
