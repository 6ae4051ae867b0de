// Where the keys of a running device are, and are not: looked for in its memory, a heap snapshot, its log and a core dump.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fromBase64, isZero, toBase64, toHex } from "../../src/base/bytes.ts";
import { plan } from "../../src/runtime/plan.ts";
import { createTables, keypairBytes, secretsSize } from "../../src/wireguard/index.ts";
import { Keypair } from "../../src/wireguard/tables.ts";
import { describeRoot, TORTIE } from "../peers.ts";
import { eventually, Host } from "./host.ts";
import { type Mapping, mappings, peek, pieces } from "./memory.ts";
import { answers, inner, show, type Tunnel, tunnel, uapi } from "./tunnel.ts";

/** The ways a key can be written, and what they say it is. */
type Needle = { readonly what: string; readonly bytes: Buffer };
const needles = (name: string, key: Uint8Array): Needle[] => [
  { what: `${name}, raw`, bytes: Buffer.from(key) },
  { what: `${name}, hex`, bytes: Buffer.from(toHex(key)) },
  { what: `${name}, HEX`, bytes: Buffer.from(toHex(key).toUpperCase()) },
  // The last digit depends on what follows.
  { what: `${name}, base64`, bytes: Buffer.from(toBase64(key).slice(0, 42)) },
  { what: `${name}, hex in UTF-16`, bytes: Buffer.from(toHex(key), "utf16le") },
];
const found = (bytes: Buffer, wanted: readonly Needle[]): string[] => wanted.filter((n) => bytes.includes(n.bytes)).map((n) => n.what);

const where = plan();
/** The device's shared memory: the mappings as large as it is. */
const isSlab = (m: Mapping): boolean => m.mode === "rw-s" && m.name.startsWith("/dev/zero");

describeRoot("the keys of a running device", () => {
  let t: Tunnel;
  let directory: string;
  let pid: number;
  let keys: Needle[];
  let sessions: Uint8Array[];

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "tortie-secrets-"));
    // Node itself takes the snapshot, on a signal; a device refuses that unless it is told twice.
    const env = { LOG_LEVEL: "verbose", TORTIE_DEBUG: "1", NODE_OPTIONS: `--heapsnapshot-signal=SIGUSR2 --diagnostic-dir=${directory}` };
    t = await tunnel({ psk: true, env });
    t.configure();
    answers(t.a, inner(2, 4), 5);
    // Handshakes in both roles, and keys asked for in every way there is.
    for (const [end, other] of [
      [t.a, t.b],
      [t.b, t.a],
    ] as const) {
      const before = show(end, "latest-handshakes");
      await eventually(async () => {
        await uapi(end, `tortie_handshake=1\npublic_key=${toHex(fromBase64(other.publicKey)!)}\n\n`);
        await new Promise((r) => setTimeout(r, 300));
        expect(show(end, "latest-handshakes")).not.toBe(before);
      });
    }
    const psk = show(t.a, "preshared-keys").split("\t")[1]!;
    show(t.a, "dump");
    t.configure([t.a]);
    answers(t.a, inner(2, 4), 5);
    answers(t.b, inner(1, 4), 5);
    pid = t.a.device.child.pid!;
    const slab = mappings(pid).find(isSlab)!;
    const tables = createTables(peek(pid, slab.from, where.bytes).buffer, where.tables, where.limits);
    sessions = [];
    for (let row = tables.keypairs; row < tables.keypairs + 16 * Keypair.WORDS; row += Keypair.WORDS)
      for (const word of [Keypair.SEND_KEY, Keypair.RECEIVE_KEY]) {
        const key = tables.u8.slice(4 * (row + word), 4 * (row + word) + 32);
        if (!isZero(key)) sessions.push(key);
      }
    keys = [
      ...needles("the private key", fromBase64(t.a.key)!),
      ...needles("the preshared key", fromBase64(psk)!),
      ...sessions.flatMap((key, i) => needles(`transport key ${i}`, key)),
    ];
  });
  afterAll(async () => {
    await t?.close();
    if (directory) rmSync(directory, { recursive: true });
  });

  /** Which of `wanted` are in these mappings. */
  const search = (wanted: readonly Needle[], of: (m: Mapping) => boolean): string[] => {
    const hits = new Set<string>();
    for (const m of mappings(pid).filter((x) => x.mode.startsWith("r") && of(x)))
      for (const piece of pieces(pid, m)) for (const what of found(piece, wanted)) hits.add(`${what}, in ${m.name || "anonymous memory"}`);
    return [...hits].toSorted();
  };

  test("are in its shared memory, as they are", () => {
    expect(sessions.length).toBeGreaterThanOrEqual(2);
    const raw = keys.filter((k) => k.what.endsWith("raw")).map((k) => `${k.what}, in /dev/zero (deleted)`);
    expect(search(keys, isSlab)).toEqual(raw.toSorted());
  });

  test("are nowhere else in its memory", () => {
    const elsewhere = (m: Mapping): boolean => !isSlab(m) && m.name !== "[vvar]";
    expect(search(keys, elsewhere)).toEqual([]);
    // What is no secret is found there: the search can find.
    expect(search(needles("its peer", fromBase64(t.b.publicKey)!), elsewhere)).not.toEqual([]);
  });

  test("are locked, and kept from core dumps", () => {
    const tables = createTables(new ArrayBuffer(where.bytes), where.tables, where.limits);
    const pages = [{ at: where.secrets, bytes: secretsSize(where.limits) }, keypairBytes(tables)];
    const all = mappings(pid);
    const slabs = all.filter(isSlab);
    // A mapping is cut where its flags change: the whole begins where no other ends.
    const starts = slabs.filter((m) => !slabs.some((n) => n.to === m.from)).map((m) => m.from);
    expect(starts.length).toBeGreaterThan(0);
    for (const m of slabs) expect(m.flags.split(" "), m.from.toString(16)).toContain("dd");
    for (const start of starts)
      for (const { at, bytes } of pages)
        for (const m of slabs.filter((s) => s.to > start + at && s.from < start + at + bytes && s.from >= start))
          if (!starts.some((s) => s > start && s <= m.from)) expect(m.flags.split(" "), m.from.toString(16)).toContain("lo");
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    expect(Number(/^VmLck:\s*([0-9]+) kB$/m.exec(status)![1])).toBeGreaterThan(0);
    expect(readFileSync(`/proc/${pid}/limits`, "utf8")).toMatch(/^Max core file size +0 +0 /m);
  });

  test("are not in a heap snapshot, nor in what the device logged", async () => {
    t.a.device.child.kill("SIGUSR2");
    const path = await eventually(() => {
      const name = readdirSync(directory).find((n) => n.endsWith(".heapsnapshot"));
      const at = join(directory, name!);
      JSON.parse(readFileSync(at, "utf8"));
      return at;
    });
    const snapshot = readFileSync(path);
    // It is of this device: the public key is in it, as the key of a map.
    expect(snapshot.includes(toHex(fromBase64(t.b.publicKey)!))).toBe(true);
    expect(found(snapshot, keys)).toEqual([]);
    expect(t.a.device.output()).toMatch(/session established/);
    expect(found(Buffer.from(t.a.device.output()), keys)).toEqual([]);
  });
});

describeRoot("a device that crashes", () => {
  test("leaves no core dump, where another process leaves one", async (context) => {
    const directory = mkdtempSync(join(tmpdir(), "tortie-core-"));
    const host = await Host.create();
    try {
      const crash = 'cd "$0" && ulimit -c unlimited && exec "$@"';
      const other = host.spawn(["sh", "-c", crash, directory, "sleep", "60"]);
      await eventually(() => expect(readFileSync(`/proc/${other.child.pid}/comm`, "utf8")).toBe("sleep\n"));
      other.child.kill("SIGSEGV");
      await other.exit;
      const cores = (): string[] => readdirSync(directory);
      if (cores().length === 0) context.skip(`the kernel writes no core files here: ${readFileSync("/proc/sys/kernel/core_pattern", "utf8").trim()}`);
      for (const name of cores()) rmSync(join(directory, name));
      const device = host.spawn(["sh", "-c", crash, directory, process.execPath, TORTIE, "device", "-f", "wg0"]);
      await eventually(() => host.run("test", "-S", "/run/wireguard/wg0.sock"));
      device.child.kill("SIGSEGV");
      await device.exit;
      expect(device.child.signalCode).toBe("SIGSEGV");
      expect(cores()).toEqual([]);
    } finally {
      await host.close();
      rmSync(directory, { recursive: true });
    }
  });
});
