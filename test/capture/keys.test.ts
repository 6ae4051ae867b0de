// Keys of our device: no more of them in a file than its packets need, sessions that exist already, key logs that are switched on and off and end by themselves.
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { toBase64 } from "../../src/base/bytes.ts";
import { follow } from "../../src/capture/fixtures.cases.ts";
import { keyLogOf } from "../../src/capture/keylog.ts";
import { readCapture } from "../../src/capture/reader.ts";
import { nodeCrypto } from "../../src/crypto/node.ts";
import { eventually, type Spawned } from "../device/host.ts";
import { IF, inner, newKey, ping, publicOf, tunnel, type Tunnel } from "../device/tunnel.ts";
import { describeRoot, describeWith, find, TORTIE } from "../peers.ts";

/** On a busy machine programs take long to start. */
const LATE = 60_000;
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

describeRoot("keys of our device", () => {
  let t: Tunnel;
  let directory: string;
  const absent = publicOf(newKey());
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "tortie-keys-"));
    t = await tunnel({ psk: true });
    t.configure();
    // A peer that never answers, elsewhere: its handshakes have keys too.
    t.a.host.run("wg", "set", IF, "peer", absent, "endpoint", "192.0.2.77:51820", "allowed-ips", "10.99.0.0/16");
    await eventually(() => expect(ping(t.a, inner(2, 4))).toBe(3), LATE);
  });
  afterAll(async () => {
    await t.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const start = async (words: readonly string[], ready: RegExp): Promise<Spawned & { stop(): Promise<number | null> }> => {
    const running = t.a.host.spawn([process.execPath, TORTIE, ...words]);
    await eventually(() => expect(running.output()).toMatch(ready), LATE);
    const stop = (): Promise<number | null> => {
      running.child.kill("SIGINT");
      return running.exit;
    };
    return { ...running, stop };
  };
  const capture = (path: string, ...words: string[]): ReturnType<typeof start> =>
    start(["capture", "-i", "eth0", "--keys", "-w", path, ...words], /^listening on/m);
  const traffic = (): Promise<void> => eventually(() => expect(ping(t.a, inner(2, 4), 5)).toBe(5), LATE);
  const show = (): string => t.a.host.run(process.execPath, TORTIE, "wg", "show", IF);

  test("a peer that there is not is refused with those that there are, before anything is written", async () => {
    const path = join(directory, "unknown.pcapng");
    const [known, unknown] = [t.a.host.run("wg", "show", IF, "peers").trim().split("\n"), publicOf(newKey())];
    const refused = t.a.host.spawn([process.execPath, TORTIE, "capture", "-i", "eth0", "--keys", "--peer", unknown, "-w", path]);
    expect(await refused.exit).toBe(1);
    expect(refused.output()).toContain(`Cannot take the keys of the sessions with ${unknown}: ${IF} has no such peer`);
    for (const key of known) expect(refused.output()).toContain(key);
    expect(existsSync(path)).toBe(false);
  });
  test("a file holds the keys of the handshakes in it, and not one record more", async () => {
    const path = join(directory, "few.pcapng");
    const c = await capture(path, "udp and host 192.0.2.2");
    await traffic();
    await c.stop();
    const file = readCapture(readFileSync(path));
    const log = keyLogOf(file.secrets)!;
    // What the device sent: initiations and responses of its own.
    const { tracker } = follow(file);
    const messages = tracker.sessions.flatMap((s) => [s.initiation, s.response]).flatMap((m) => (m ? [toBase64(m.message.ephemeral)] : []));
    const ephemerals = log.ephemerals.map((e) => toBase64(nodeCrypto.publicKey(e.privateKey)));
    expect(ephemerals.length).toBeGreaterThan(0);
    expect(new Set(ephemerals).size).toBe(ephemerals.length);
    for (const e of ephemerals) expect(messages).toContain(e);
    expect([log.staticPrivate.length, log.staticPublic.length]).toEqual([ephemerals.length, ephemerals.length]);
    expect(log.staticPublic.map(toBase64)).not.toContain(absent);
    const [opened] = tracker.sessions.filter((s) => s.answered?.kind === "open");
    expect(opened!.counts.toResponder.decrypted + opened!.counts.toInitiator.decrypted).toBeGreaterThanOrEqual(10);
    expect(c.output()).toMatch(/Keys of 1 session of wg0 are in the file/);
  });

  test("--peer: handshakes with others are neither forced nor written", async () => {
    const path = join(directory, "peer.pcapng");
    const c = await capture(path, "--peer", t.b.publicKey, "udp", "port", "51820");
    await traffic();
    await c.stop();
    const log = keyLogOf(readCapture(readFileSync(path)).secrets)!;
    expect(new Set(log.staticPublic.map(toBase64))).toEqual(new Set([t.b.publicKey]));
    const none = await capture(join(directory, "none.pcapng"), "--peer", absent, "--no-handshake", "udp", "port", "51820");
    await traffic();
    await none.stop();
    expect(readCapture(readFileSync(join(directory, "none.pcapng"))).secrets).toEqual([]);
  });

  test("--existing --no-handshake opens a running tunnel as it is, for us", async () => {
    const path = join(directory, "existing.pcapng");
    const c = await capture(path, "--existing", "--no-handshake", "udp", "port", "51820");
    await traffic();
    await c.stop();
    const file = readCapture(readFileSync(path));
    const log = keyLogOf(file.secrets)!;
    expect([log.sessionKeys.size, log.ephemerals.length]).toEqual([2, 0]);
    const { tracker } = follow(file);
    const data = tracker.sessions.filter((s) => s.counts.toInitiator.transport + s.counts.toResponder.transport > 0);
    for (const { counts } of data)
      expect(counts.toInitiator.decrypted + counts.toResponder.decrypted).toBe(counts.toInitiator.transport + counts.toResponder.transport);
    expect(data.length).toBe(1);
  });

  test("tortie keylog: visible while on, ended from outside, and by its time", async () => {
    const path = join(directory, "wg.keys");
    expect(show()).not.toMatch(/key log/);
    const on = await start(["keylog", "-i", IF, "-w", path], /KEY LOG ON: the keys of wg0 go to/);
    await eventually(() => expect(show()).toMatch(/^ {2}key log: on, 1 reader/m), LATE);
    // wg(8) does not mind what it does not know.
    expect(t.a.host.run("wg", "show", IF)).toMatch(/listening port/);
    await eventually(() => expect(t.a.device.output()).toMatch(/"event":"keylog-on"/), LATE);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    t.a.host.run(process.execPath, TORTIE, "keylog", "-i", IF, "--off");
    expect(await on.exit).toBe(1);
    expect(on.output()).toMatch(/ended from outside/);
    await eventually(() => expect(show()).not.toMatch(/key log/), LATE);
    await eventually(() => expect(t.a.device.output()).toMatch(/"event":"keylog-off"/), LATE);

    const limited = await start(
      ["keylog", "-i", IF, "--for", "1s", "--peer", t.b.publicKey, "-w", path],
      /KEY LOG ON.*for 1 s, handshakes with 1 peer only/,
    );
    expect(await limited.exit).toBe(0);
    expect(limited.output()).toMatch(/Key log off: the keys of 0 handshakes/);
    await eventually(() => expect(show()).not.toMatch(/key log/), LATE);
  });

  test.for<[string[], RegExp]>([
    [["keylog", "-i", "wg9", "-w", "/run/x"], /wg9/],
    [["keylog", "--off", "--kernel"], /ends with the command/],
    [["keylog", "--check"], /tortie keylog --kernel --check/],
    [["keylog", "-i", IF, "--for", "soon"], /30s, 10m or 2h/],
    [["keylog", "-i", IF, "--peer", "secret"], /^Cannot use what was given as a public key/],
    [["capture", "-i", "eth0", "--existing"], /without --keys/],
    [
      ["capture", "-i", "eth0", "--keys", "--device", IF, "--peer", publicOf(newKey()), "--duration", "1"],
      /no such peer\n--peer takes the public key of one of these:\n {2}/,
    ],
  ])("%j is refused in words", async ([words, why]) => {
    const ran = t.a.host.spawn([process.execPath, TORTIE, ...words]);
    expect(await ran.exit).toBe(1);
    expect(ran.output()).toMatch(why);
    expect(ran.output()).not.toMatch(/\n\s+at |secret/);
  });
  test("a file that others can read gets no key", async () => {
    const path = join(directory, "open.keys");
    writeFileSync(path, "", { mode: 0o644 });
    const ran = t.a.host.spawn([process.execPath, TORTIE, "keylog", "-i", IF, "-w", path]);
    expect(await ran.exit).toBe(1);
    expect(ran.output()).toMatch(/others than its owner.*\nchmod 600/);
    expect(readFileSync(path, "utf8")).toBe("");
  });
});

describeRoot("WG_KEYLOGFILE", () => {
  test("is loud, holds the chosen peers' keys before their packets, and is ended from outside", async () => {
    const path = join(tmpdir(), `tortie-test-keylog-${process.pid}`);
    const t = await tunnel({ psk: true, env: { WG_KEYLOGFILE: path, WG_KEYLOG_FOR: "2h" } });
    const show = (): string => t.a.host.run(process.execPath, TORTIE, "wg", "show", IF);
    try {
      t.configure();
      await eventually(() => expect(ping(t.a, inner(2, 4))).toBe(3), LATE);
      expect(t.a.device.output()).toMatch(/^KEY LOG ON: the keys of wg0 go to .* for 7200 s/m);
      expect(statSync(path).mode & 0o777).toBe(0o600);
      expect(readFileSync(path, "utf8")).toMatch(/LOCAL_EPHEMERAL_PRIVATE_KEY = .{44}\nPRESHARED_KEY = .{44}\n/);
      expect(show()).toMatch(/key log: on, 1 reader, 1 handshake so far/);
      for (const end of [t.a, t.b]) end.host.run(process.execPath, TORTIE, "keylog", "--off");
      expect(show()).not.toMatch(/key log/);
      const size = statSync(path).size;
      const handshake = `require("net").connect("/run/wireguard/${IF}.sock",function(){this.end("tortie_handshake=1\\n\\n")}).resume()`;
      t.a.host.run(process.execPath, "-e", handshake);
      await eventually(() => expect(ping(t.a, inner(2, 4))).toBe(3), LATE);
      expect(statSync(path).size).toBe(size);
    } finally {
      await t.close();
      rmSync(path, { force: true });
    }
  });

  describeWith(["tshark"], "a tshark that watches", () => {
    test("opens every packet as it passes: the file is ahead of the wire", async () => {
      const path = join(tmpdir(), `tortie-test-keylog-live-${process.pid}`);
      // It is there before the devices, as somebody would have it who waits for them.
      writeFileSync(path, "", { mode: 0o600 });
      // Several messages that leave as one are what tshark cannot open (docs/keys.md).
      const t = await tunnel({ psk: true, env: { WG_KEYLOGFILE: path, TORTIE_WITHOUT: "all" } });
      try {
        const watch = t.a.host.spawn([find("tshark")!, "-i", "eth0", "-l", "-o", `wg.keylog_file:${path}`, "-f", "udp port 51820"]);
        await eventually(() => expect(watch.output()).toMatch(/Capturing on/), LATE);
        // It says so before it does: its packet socket is then in the list, under the headings.
        await eventually(() => expect(t.a.host.run("cat", "/proc/net/packet").trim().split("\n").length).toBeGreaterThan(1), LATE);
        t.configure();
        await eventually(() => expect(ping(t.a, inner(2, 4), 5)).toBe(5), LATE);
        await eventually(() => expect(watch.output()).toMatch(/Echo \(ping\) reply/), LATE);
        expect(watch.output()).toMatch(/Handshake Initiation[^]*Handshake Response/);
        // Not one was passed over.
        expect(watch.output()).not.toMatch(/Transport Data/);
      } finally {
        await t.close();
        rmSync(path, { force: true });
      }
    });
  });
});
