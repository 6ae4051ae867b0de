// `tortie server backup` beside a running server, a store that is damaged, and `tortie server restore`.
import { execFile } from "node:child_process";
import { readFileSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readBackup } from "../../src/store/backup.ts";
import { ask, follow, ServerHome, until } from "../apiserver/process.ts";
import { TORTIE } from "../peers.ts";

let home: ServerHome;
beforeEach(() => void (home = new ServerHome()));
afterEach(() => home.remove());

type Ran = { code: number; out: string; err: string };
const server = (...args: string[]): Promise<Ran> =>
  new Promise((resolve) =>
    execFile(process.execPath, [TORTIE, "server", ...args], (e, out, err) => resolve({ code: Number(e?.code ?? 0), out, err })),
  );
const MAPS = "/api/v1/namespaces/default/configmaps";
type Map = { metadata: { name: string; resourceVersion: string; uid: string }; data: Record<string, string> };
const create = async (name: string, value: string): Promise<Map> => {
  const { code, body } = await ask(home.socket, MAPS, { method: "POST", body: JSON.stringify({ metadata: { name }, data: { value } }) });
  expect(code).toBe(201);
  return JSON.parse(body) as Map;
};
const list = async (): Promise<{ version: string; maps: Map[] }> => {
  const { body } = await ask(home.socket, MAPS);
  const { metadata, items } = JSON.parse(body) as { metadata: { resourceVersion: string }; items: Map[] };
  return { version: metadata.resourceVersion, maps: items };
};

test("a backup of a running server brings a damaged store back; whoever watched starts over, and no version is used twice", async () => {
  const first = await home.start();
  for (let i = 0; i < 5; i++) await create(`before-${i}`, "1");
  const before = await list();
  const file = join(home.directory, "backup");
  const saved = await server("backup", "--data", home.data, file);
  expect([saved.code, saved.err]).toEqual([0, ""]);
  expect(saved.out).toMatch(/^wrote .*backup: [0-9]+ keys at revision [0-9]+; the certificate authority \(.*pki\) is not in it\n$/);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const lost = await create("after", "1");
  // Not over one that is there, and not while the server runs.
  expect(await server("backup", "--data", home.data, file)).toMatchObject({ code: 1, err: expect.stringContaining("it exists already") as string });
  expect(await server("restore", "--data", home.data, file)).toMatchObject({
    code: 1,
    err: expect.stringContaining(`the server with pid ${first.child.pid} uses it`) as string,
  });
  first.child.kill("SIGKILL");
  await first.ended;

  const store = join(home.data, "store/store.mdb");
  truncateSync(store, 20_000);
  const bytes = readFileSync(store);
  const refused = await server("--data", home.data, "--listen", "127.0.0.1:0");
  expect(refused).toEqual({
    code: 1,
    out: "",
    err: `Cannot read the store "${store}": it is damaged (it ends too early)\nPut back a backup with: tortie server restore --data DIR FILE. Without one, start anew with another --data. The file is left as it is.\n`,
  });
  expect(readFileSync(store).equals(bytes)).toBe(true);
  expect(await server("backup", "--data", home.data, `${file}2`)).toMatchObject({ code: 1, err: expect.stringContaining("it is damaged") as string });

  const restored = await server("restore", "--data", home.data, file);
  expect([restored.code, restored.err]).toEqual([0, ""]);
  expect(restored.out).toMatch(
    /^restored [0-9]+ keys of revision [0-9]+; resource versions go on at [0-9]{10,}; the store that was there is kept as .*store\.mdb\.before-[0-9]+\n$/,
  );
  await home.start();
  const after = await list();
  expect(after.maps).toEqual(before.maps);
  expect(Number(after.version)).toBeGreaterThan(1e9);
  const next = await create("next", "1");
  expect(Number(next.metadata.resourceVersion)).toBeGreaterThan(1e9);
  // A version that was lost is no version of this store.
  const watch = follow(home.socket, `${MAPS}?watch=true&resourceVersion=${lost.metadata.resourceVersion}`);
  await watch.ended;
  expect(watch.events.map((e) => [e.type, (e.object as unknown as { code: number }).code])).toEqual([["ERROR", 410]]);
  await until(async () => (await ask(home.socket, "/healthz")).body === "ok");
});

test("backups of a server that is written to at full speed are each one moment of it; after a restore nobody goes on with what is lost", async () => {
  const first = await home.start();
  const WRITERS = 4;
  const answered = Array.from({ length: WRITERS }, () => [] as number[]);
  let over = false;
  const writers = answered.map(async (versions, w) => {
    while (!over) versions.push(Number((await create(`w${w}-${versions.length}`, "1")).metadata.resourceVersion));
  });
  const backups: { file: string; revision: number }[] = [];
  for (let n = 0; n < 3; n++) {
    const file = join(home.directory, `backup-${n}`);
    const before = answered.map((versions) => [...versions]);
    await until(() => answered.every((versions, w) => versions.length > before[w]!.length));
    const { code, out } = await server("backup", "--data", home.data, file);
    expect(code).toBe(0);
    const { revision, current } = readBackup(file);
    expect(out).toContain(`${current.length} keys at revision ${revision};`);
    backups.push({ file, revision });
    for (const [w, versions] of before.entries()) {
      const of = current.filter((c) => c.key.includes(`/w${w}-`)).toSorted((a, b) => a.revision - b.revision);
      // What was answered before is there, and of what came later as much as there was at that one revision.
      expect(of.map((c) => c.key.replace(/.*-/, ""))).toEqual(of.map((_c, i) => String(i)));
      expect(of.slice(0, versions.length).map((c) => c.revision)).toEqual(versions);
      expect(of.filter((c) => c.revision > revision)).toEqual([]);
      const later = answered[w]!.filter((v) => v <= revision);
      expect(of.map((c) => c.revision)).toEqual(expect.arrayContaining(later));
    }
  }
  over = true;
  await Promise.all(writers);
  const lost = await create("lost", "1");
  first.child.kill("SIGTERM");
  expect(await first.ended).toBe(0);
  const { file, revision } = backups[1]!;
  expect((await server("restore", "--data", home.data, file)).code).toBe(0);
  await home.start();
  // Of the lost time, the moment of the backup, and before.
  for (const version of [lost.metadata.resourceVersion, revision, answered[0]![0]!]) {
    const watch = follow(home.socket, `${MAPS}?watch=true&resourceVersion=${version}`);
    await watch.ended;
    expect(watch.events.map((e) => [e.type, (e.object as unknown as { code: number }).code])).toEqual([["ERROR", 410]]);
  }
  const [map] = (await list()).maps.filter((m) => m.metadata.name === "w0-0");
  const put = async (body: Map): Promise<number> =>
    (await ask(home.socket, `${MAPS}/${body.metadata.name}`, { method: "PUT", body: JSON.stringify(body) })).code;
  expect(await put({ ...map!, metadata: { ...map!.metadata, resourceVersion: lost.metadata.resourceVersion } })).toBe(409);
  expect(await put({ ...map!, data: { value: "2" } })).toBe(200);
  expect(await put({ ...map!, data: { value: "3" } })).toBe(409);
});

test.for([
  { name: "no store", args: ["backup", "FILE"], err: /there is no store in it/ },
  { name: "no FILE", args: ["backup"], err: /missing required argument 'file'/i },
  { name: "a FILE that is no backup", args: ["restore", "/dev/null"], err: /it is no backup of tortie server\nNothing was changed/ },
  { name: "a FILE that is not there", args: ["restore", "/nonexistent/f"], err: /Cannot read the backup "\/nonexistent\/f": no such file/ },
])("bad input is refused with a sentence: $name", async ({ args, err }) => {
  const { code, err: said } = await server(...args.slice(0, 1), "--data", home.data, ...args.slice(1));
  expect(said).toMatch(err);
  expect(code).toBe(1);
});
