// The API server: `npx tsx bench/apiserver.ts [--rounds 5] [--only watch,list,writes,memory,start,get,store,etcd] [--nodes 5000] [--watchers 1000]` after
// `npm run build`. Beside it in the same run, by turns: a plain stream of Node's HTTP (watch, memory of a watcher), JSON.parse of the same body (list), etcd
// over TLS (writes), `node -e 0` (get), the bare engines (store, etcd: store.ts and etcd.ts here).
// Debian package linux-perf for the shares of TLS, JSON and store; scripts/peers for etcd. A part that misses its peer says so.
import { execFile, execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs, promisify } from "node:util";
import { ServerHome, type ServerProcess } from "../test/apiserver/process.ts";
import { TORTIE } from "../test/peers.ts";
import { type Ask, asker, doorOf, each } from "./apiserver/ask.ts";
import { etcd, plainStream, plainTls } from "./apiserver/subjects.ts";
import { main as storeOnEtcd } from "./etcd.ts";
import { main as embeddedStore } from "./store.ts";
import { type Door, MARK, timeNow, Watchers } from "./apiserver/watchers.ts";
import { workOf } from "./apiserver/work.ts";
import { record, stacksOf, tally } from "./perf.ts";
import { busyShare, cpuSeconds, residentMb } from "./processes.ts";
import { MACHINE } from "./report.ts";
import { median, quantile, spread } from "./statistics.ts";

const PARTS = ["watch", "list", "writes", "memory", "start", "get", "store", "etcd"] as const;
const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    only: { type: "string", default: PARTS.join() },
    nodes: { type: "string", default: "5000" },
    watchers: { type: "string", default: "1000" },
    seconds: { type: "string", default: "2" },
  },
});
const [rounds, nodes, watchers, seconds] = [values.rounds, values.nodes, values.watchers, values.seconds].map(Number) as [
  number,
  number,
  number,
  number,
];
const wanted = new Set(values.only.split(","));

const print = (text: string): void => void process.stdout.write(`${text}\n`);
const row = (...cells: string[]): void => print(`| ${cells.join(" | ")} |`);
const NODES = "/api/v1/nodes";
const MERGE = "application/merge-patch+json";
const nameOf = (i: number): string => `n${String(i).padStart(5, "0")}`;

/** A Node as an agent keeps it, some 1.5 KB. */
const nodeOf = (i: number): object => ({
  apiVersion: "v1",
  kind: "Node",
  metadata: {
    name: nameOf(i),
    labels: {
      "kubernetes.io/hostname": nameOf(i),
      "kubernetes.io/os": "linux",
      "kubernetes.io/arch": "amd64",
      "topology.kubernetes.io/zone": `z${i % 3}`,
    },
    annotations: {
      "bench/at": timeNow(),
      "bench/padding": "0123456789abcdef".repeat(30),
      "projectcalico.org/IPv4Address": `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}/8`,
      "projectcalico.org/IPv4WireguardInterfaceAddr": `172.16.${(i >> 8) & 255}.${i & 255}`,
    },
  },
  spec: { podCIDR: `172.${i >> 8}.${i & 255}.0/26`, podCIDRs: [`172.${i >> 8}.${i & 255}.0/26`] },
  status: {
    addresses: [
      { type: "InternalIP", address: `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}` },
      { type: "Hostname", address: nameOf(i) },
    ],
    conditions: [
      {
        type: "Ready",
        status: "True",
        reason: "AgentReady",
        message: "the agent reports",
        lastHeartbeatTime: "2026-11-23T12:00:00Z",
        lastTransitionTime: "2026-11-23T12:00:00Z",
      },
    ],
    nodeInfo: {
      kernelVersion: "6.18.44",
      osImage: "Debian GNU/Linux 12 (bookworm)",
      architecture: "amd64",
      operatingSystem: "linux",
      kubeletVersion: "tortie-v0.1.0",
    },
    capacity: { cpu: "2", memory: "24117248Ki", pods: "110" },
    allocatable: { cpu: "2", memory: "24117248Ki", pods: "110" },
  },
});

const touch = (ask: Ask, i: number): Promise<unknown> =>
  ask("PATCH", `${NODES}/${nameOf(i)}`, JSON.stringify({ metadata: { annotations: { "bench/at": timeNow() } } }), MERGE);

async function fill(door: Door, from: number, to: number): Promise<void> {
  const { ask, close } = asker(door, 64);
  const all = Array.from({ length: to - from }, (_, i) => from + i);
  await each(all, 64, (i) => ask("POST", NODES, JSON.stringify(nodeOf(i))));
  close();
}
/** Changes nodes, one after the other, `count` times in all. */
async function rewrite(door: Door, count: number): Promise<void> {
  const { ask, close } = asker(door, 64);
  await each(
    Array.from({ length: count }, (_, i) => i % nodes),
    64,
    (i) => touch(ask, i),
  );
  close();
}
const versionOf = async (ask: Ask): Promise<string> =>
  (JSON.parse((await ask("GET", `${NODES}?limit=1`)).toString()) as { metadata: { resourceVersion: string } }).metadata.resourceVersion;

/** Events a second to all watchers, and how late they are at 20 events a second: ours beside the plain stream. */
async function watch(home: ServerHome, server: ServerProcess): Promise<void> {
  const EVENTS = 300;
  const plainSocket = join(home.directory, "plain.sock");
  const plain = await plainStream(plainSocket);
  const [unix, straight] = [asker({ socketPath: home.socket }, 8), asker({ socketPath: plainSocket }, 8)];
  const ours = new Watchers();
  const theirs = new Watchers();
  try {
    const line = Buffer.from(`{"type":"MODIFIED","object":${(await unix.ask("GET", `${NODES}/${nameOf(0)}`)).toString().trim()}}\n`).toString();
    const at = line.indexOf(MARK) + MARK.length;
    const tell = (): Promise<unknown> => straight.ask("POST", "/", line.slice(0, at) + timeNow() + line.slice(at + timeNow().length));
    await ours.open(watchers, { socketPath: home.socket }, `${NODES}?watch=true&resourceVersion=${await versionOf(unix.ask)}`);
    await theirs.open(watchers, { socketPath: plainSocket }, "/");
    await sleep(2000);
    const numbers = Array.from({ length: EVENTS }, (_, i) => i);
    const subjects = [
      {
        name: "ours",
        watching: ours,
        publish: (i: number) => touch(unix.ask, i % 50),
        rates: [] as number[],
        p50: [] as number[],
        p99: [] as number[],
        pid: server.child.pid!,
        cpu: [] as number[],
      },
      {
        name: "plain",
        watching: theirs,
        publish: tell,
        rates: [] as number[],
        p50: [] as number[],
        p99: [] as number[],
        pid: plain.pid,
        cpu: [] as number[],
      },
    ];
    for (let round = 0; round <= rounds; round++)
      for (const s of round % 2 === 0 ? subjects : subjects.toReversed()) {
        const all = s.watching.arrived(EVENTS * watchers);
        const [from, cpu] = [performance.now(), cpuSeconds([s.pid])];
        await each(numbers, 8, s.publish);
        await all;
        const took = (performance.now() - from) / 1000;
        s.watching.latencies.length = 0;
        s.watching.timed = true;
        const few = s.watching.arrived(20 * seconds * watchers);
        const used = cpuSeconds([s.pid]) - cpu;
        for (let i = 0; i < 20 * seconds; i++) {
          const next = sleep(50);
          await s.publish(i);
          await next;
        }
        await few;
        s.watching.timed = false;
        // The first round warms compilers up.
        if (round === 0) continue;
        s.rates.push((EVENTS * watchers) / took);
        s.cpu.push((used / (EVENTS * watchers)) * 1e6);
        s.p50.push(quantile(s.watching.latencies, 0.5));
        s.p99.push(quantile(s.watching.latencies, 0.99));
      }
    const [a, b] = subjects as [(typeof subjects)[0], (typeof subjects)[0]];
    print(`\nWatch: ${watchers} watchers on a unix socket, events of ${line.length} bytes. Median (least .. most).\n`);
    row("", "ours", "plain stream", "ratio", "promised");
    row("---", "---", "---", "---", "---");
    const compare = (what: string, x: number[], y: number[], digits: number, promised: string): void =>
      row(what, spread(x, digits), spread(y, digits), (median(x) / median(y)).toFixed(2), promised);
    compare(`events/s, ${EVENTS} as fast as they can be written`, a.rates, b.rates, 0, ">= 0.8");
    compare("… CPU µs of the server each", a.cpu, b.cpu, 2, "");
    compare("20 events/s: median ms from the request to the watcher", a.p50, b.p50, 1, "");
    compare("… 99th percentile", a.p99, b.p99, 1, "<= 2");
  } finally {
    await Promise.all([ours.close(), theirs.close(), plain.stop()]);
    unix.close();
    straight.close();
  }
}

/** LIST of everything beside JSON.parse of its body. */
async function list(home: ServerHome, tls: Door): Promise<void> {
  const [unix, secure] = [asker({ socketPath: home.socket }, 1), asker(tls, 1)];
  const body = (await unix.ask("GET", NODES)).toString();
  const took: Record<"unix" | "tls" | "parse", number[]> = { unix: [], tls: [], parse: [] };
  const time = async (into: number[], job: () => unknown): Promise<void> => {
    const from = performance.now();
    await job();
    into.push(performance.now() - from);
  };
  for (let round = 0; round <= 2 * rounds; round++) {
    await time(took.parse, () => JSON.parse(body));
    // A change before each: an unchanged list is sent from the same bytes.
    await touch(unix.ask, 0);
    await time(took.unix, () => unix.ask("GET", NODES));
    await touch(unix.ask, 0);
    await time(took.tls, () => secure.ask("GET", NODES));
    if (round === 0) for (const t of Object.values(took)) t.length = 0;
  }
  unix.close();
  secure.close();
  const ratio = (x: number[]): string => (median(x) / median(took.parse)).toFixed(2);
  print(`\nLIST of ${nodes} nodes, ${(body.length / 1e6).toFixed(1)} MB, until its last byte is here. Median (least .. most), ms.\n`);
  row("", "ms", "of JSON.parse", "promised");
  row("---", "---", "---", "---");
  row("JSON.parse of the body", spread(took.parse, 1), "1", "");
  row("GET, unix socket", spread(took.unix, 1), ratio(took.unix), "<= 2");
  row("GET, TLS", spread(took.tls, 1), ratio(took.tls), "<= 2");
}

/** Writing so long at 64 writers, the compilers have seen what there is to see: some 10,000 writes. */
const WARM_S = 4;

/** Acknowledged writes over TLS at 1 and 64 writers beside etcd's, and what the processor did meanwhile. */
async function writes(home: ServerHome, server: ServerProcess, tls: Extract<Door, { port: number }>): Promise<void> {
  const peer = await etcd(home.data, home.directory);
  if (!peer) print("\nNo etcd here: scripts/peers brings it.");
  const value = Buffer.from(JSON.stringify(nodeOf(0))).toString("base64");
  const door = peer && { ...tls, port: Number(new URL(peer.url).port) };
  type Subject = {
    name: string;
    pid: number;
    door: Door;
    write: (ask: Ask, i: number) => Promise<unknown>;
    rates: Map<number, number[]>;
    cpu: Map<number, number[]>;
  };
  const subject = (s: Pick<Subject, "name" | "pid" | "door" | "write">): Subject => ({
    ...s,
    rates: new Map([
      [1, []],
      [64, []],
    ]),
    cpu: new Map([
      [1, []],
      [64, []],
    ]),
  });
  const subjects = [
    subject({ name: "ours, TLS", pid: server.child.pid!, door: tls, write: touch }),
    subject({ name: "ours, unix socket", pid: server.child.pid!, door: { socketPath: home.socket }, write: touch }),
    ...(peer && door
      ? [
          subject({
            name: "etcd, TLS (JSON gateway)",
            pid: peer.pid,
            door,
            write: (ask, i) =>
              ask("POST", "/v3/kv/put", JSON.stringify({ key: Buffer.from(`/registry/core/nodes/${nameOf(i)}`).toString("base64"), value })),
          }),
        ]
      : []),
  ];
  async function measure(s: Subject, writers: number, forSeconds: number): Promise<{ rate: number; cpu: number }> {
    const { ask, close } = asker(s.door, writers);
    // Handshakes are not what is asked about here.
    await Promise.all(Array.from({ length: writers }, (_, w) => s.write(ask, w)));
    const [from, cpu] = [performance.now(), cpuSeconds([s.pid])];
    const until = from + forSeconds * 1000;
    let done = 0;
    await Promise.all(
      Array.from({ length: writers }, async (_, w) => {
        while (performance.now() < until) {
          await s.write(ask, w);
          done++;
        }
      }),
    );
    const took = (performance.now() - from) / 1000;
    close();
    return { rate: done / took, cpu: ((cpuSeconds([s.pid]) - cpu) / done) * 1e6 };
  }
  try {
    for (const s of subjects) await measure(s, 64, WARM_S);
    for (let round = 0; round < rounds; round++)
      for (const writers of [1, 64])
        for (const s of round % 2 === 0 ? subjects : subjects.toReversed()) {
          const { rate, cpu } = await measure(s, writers, seconds);
          s.rates.get(writers)!.push(rate);
          s.cpu.get(writers)!.push(cpu);
        }
    print(
      "\nAcknowledged writes a second, each on disk: PATCH of a Node of 1.5 KB; etcd: PUT of as much. Stated, nothing is promised. Median (least .. most).\n",
    );
    row("", ...subjects.map((s) => s.name));
    row("---", ...subjects.map(() => "---"));
    for (const w of [1, 64]) row(`${w} writer${w > 1 ? "s" : ""}, writes/s`, ...subjects.map((s) => spread(s.rates.get(w)!, 0)));
    for (const w of [1, 64]) row(`… CPU µs of the server each, ${w}`, ...subjects.map((s) => spread(s.cpu.get(w)!, 0)));
    await split(measure, subjects[0]!);
  } finally {
    await peer?.stop();
  }
}

/** Shares of TLS, JSON and store, sampled on a server of its own that names its compiled functions. */
async function split<S extends { pid: number; door: Door }>(
  measure: (s: S, writers: number, seconds: number) => Promise<{ rate: number }>,
  like: S,
): Promise<void> {
  if (!existsSync("/usr/bin/perf")) return print("\nNo perf here: Debian package linux-perf.");
  const sampled = new ServerHome();
  try {
    const { child } = await sampled.start(0, [], { NODE_OPTIONS: "--perf-basic-prof" });
    const door = doorOf(sampled.kubeconfig);
    await fill({ socketPath: sampled.socket }, 0, 64);
    await measure({ ...like, pid: child.pid!, door }, 64, WARM_S);
    const shares: Map<string, number>[] = [];
    for (const writers of [1, 64]) {
      const under = measure({ ...like, pid: child.pid!, door }, writers, 4);
      await sleep(500);
      const file = join(sampled.directory, `perf-${writers}`);
      await record([child.pid!], 2, file);
      await under;
      const [stacks] = stacksOf([child.pid!], file) as [ReturnType<typeof stacksOf>[number]];
      shares.push(new Map(tally(stacks.map((s) => workOf(s.frames))).map(([kind, n]) => [kind, (100 * n) / stacks.length])));
    }
    execFileSync("rm", ["-f", `/tmp/perf-${child.pid!}.map`]);
    print("\nWhat the server's processor time went to over TLS (perf, a server of its own, warm), %:\n");
    row("", "1 writer", "64 writers");
    row("---", "---:", "---:");
    const asked = ["TLS", "JSON", "store", "audit log"];
    for (const kind of new Set([...asked, ...shares.flatMap((s) => [...s.keys()])])) row(kind, ...shares.map((s) => (s.get(kind) ?? 0).toFixed(1)));
  } finally {
    await sampled.remove();
  }
}

/** Resident memory after a start with 5,000 nodes: nothing else ever written; after lists of them; and with a history that is as long as it gets. */
async function memory(): Promise<void> {
  const home = new ServerHome();
  const restarted = async (server: ServerProcess): Promise<ServerProcess> => {
    server.child.kill("SIGTERM");
    await server.ended;
    const next = await home.start();
    await sleep(3000);
    return next;
  };
  try {
    let server = await home.start();
    await fill({ socketPath: home.socket }, 0, nodes);
    server = await restarted(server);
    const atRest = residentMb(server.child.pid!);
    const { ask, close } = asker({ socketPath: home.socket }, 1);
    for (let i = 0; i < 3; i++) await ask("GET", NODES);
    close();
    await sleep(3000);
    const listed = residentMb(server.child.pid!);
    await rewrite({ socketPath: home.socket }, MOST_HISTORY);
    server = await restarted(server);
    print("\nMemory.\n");
    row("", "", "promised");
    row("---", "---", "---");
    row(`at rest with ${nodes} nodes, MiB`, atRest.toFixed(0), "<= 120");
    row("… after three lists of them", listed.toFixed(0), "");
    row(`… at rest, with a history of ${MOST_HISTORY} writes`, residentMb(server.child.pid!).toFixed(0), "");
  } finally {
    await home.remove();
  }
}

/** The server forgets what is older (src/apiserver/objects/trim.ts). */
const MOST_HISTORY = 20_000;

/** So long after the last request V8 has given back what it keeps for the next ones. */
const IDLE_S = 45;

/** What a watcher that waits adds to the resident memory, of servers of its own each: ours, a plain stream of Node's, a bare TLS connection of Node's. */
async function watcherMemory(): Promise<void> {
  const homes = [new ServerHome(), new ServerHome()] as const;
  const [unixHome, tlsHome] = homes;
  const [unix, tls] = [await unixHome.start(), await tlsHome.start()];
  const door = doorOf(tlsHome.kubeconfig);
  const { ask, close } = asker({ socketPath: tlsHome.socket }, 1);
  const path = `${NODES}?watch=true&allowWatchBookmarks=true&resourceVersion=${await versionOf(ask)}`;
  close();
  const plainSocket = join(unixHome.directory, "plain.sock");
  const plain = [
    await plainStream(plainSocket),
    await plainTls(tlsHome.data, tlsHome.directory, false),
    await plainTls(tlsHome.data, unixHome.directory, true),
  ] as const;
  const subjects: { pid: number; door: Door; path: string }[] = [
    { pid: unix.child.pid!, door: { socketPath: unixHome.socket }, path },
    { pid: tls.child.pid!, door, path },
    { pid: plain[0].pid, door: { socketPath: plainSocket }, path: "/" },
    ...plain.slice(1).map((p) => ({ pid: p.pid, door: { ...door, port: (p as (typeof plain)[1]).port }, path: "/" })),
  ];
  const all = new Watchers();
  try {
    await sleep(2000);
    const before = subjects.map((s) => residentMb(s.pid));
    for (const s of subjects) await all.open(watchers, s.door, s.path);
    await sleep(IDLE_S * 1000);
    const [ourUnix, ourTls, plainUnix, plainHttps, bareTls] = subjects.map((s, i) =>
      (((residentMb(s.pid) - before[i]!) * 1024) / watchers).toFixed(1),
    ) as [string, string, string, string, string];
    print(`\nMemory of a watcher, KB: ${watchers} that have been idle for ${IDLE_S} s, each kind with a server of its own.\n`);
    row("", "ours", "plain stream of Node's", "bare connection of Node's", "promised");
    row("---", "---", "---", "---", "---");
    row("unix socket", ourUnix, plainUnix, "", "<= 30");
    row("TLS with a client certificate", ourTls, plainHttps, bareTls, "<= 30");
  } finally {
    await all.close();
    await Promise.all(plain.map((p) => p.stop()));
    for (const home of homes) await home.remove();
  }
}

async function start(home: ServerHome): Promise<void> {
  const took: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const from = performance.now();
    const { child, ended } = await home.start();
    took.push(performance.now() - from);
    child.kill("SIGTERM");
    await ended;
  }
  print(`\nStart to ready with ${nodes} nodes in the store, ms: ${spread(took, 0)}; promised: <= 1000.`);
}

async function get(home: ServerHome): Promise<void> {
  const run = promisify(execFile);
  const env = { ...process.env, TORTIE_SOCKET: home.socket };
  const took: Record<"ours" | "node", number[]> = { ours: [], node: [] };
  for (let round = 0; round < 3 * rounds; round++)
    for (const [who, args] of [
      ["ours", [TORTIE, "get", "felixconfiguration"]],
      ["node", ["-e", "0"]],
    ] as const) {
      const from = performance.now();
      await run(process.execPath, args, { env });
      took[who].push(performance.now() - from);
    }
  const ratio = (median(took.ours) / median(took.node)).toFixed(2);
  print(
    `\n\`tortie get felixconfiguration\` as a process ${spread(took.ours, 0)} ms, \`node -e 0\` ${spread(took.node, 0)} ms: ${ratio} times; promised: <= 4.`,
  );
}

const home = new ServerHome();
try {
  const busy = await busyShare(1000);
  print(`${rounds} interleaved rounds; ${MACHINE}. Busy with other things before: ${(100 * busy).toFixed(0)} %.`);
  let server = await home.start();
  await fill({ socketPath: home.socket }, 0, 64);
  if (wanted.has("watch")) await watch(home, server);
  if (wanted.has("writes")) await writes(home, server, doorOf(home.kubeconfig));
  if (["list", "start"].some((part) => wanted.has(part))) {
    await fill({ socketPath: home.socket }, 64, nodes);
    if (wanted.has("list")) await list(home, doorOf(home.kubeconfig));
    server.child.kill("SIGTERM");
    await server.ended;
    if (wanted.has("start")) await start(home);
    server = await home.start();
  }
  if (wanted.has("memory")) {
    await memory();
    await watcherMemory();
  }
  if (wanted.has("get")) await get(home);
  if (wanted.has("store")) {
    print("\nThe embedded store beside its bare engine, acknowledged writes with fsync; promised: ratio >= 0.8.\n");
    await embeddedStore(["--rounds", String(rounds)]);
  }
  if (wanted.has("etcd")) {
    print("\nThe store on etcd beside a bare grpc client; promised: ratio >= 0.8.\n");
    await storeOnEtcd(["--rounds", String(rounds), "--seconds", "1"]);
  }
} finally {
  await home.remove();
}
