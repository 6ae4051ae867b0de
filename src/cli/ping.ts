// `ping`, as iputils' is known: its lines, its summary, its exit codes. 0: at least one reply; 1: none; 2: something else went wrong.
import { lookup } from "node:dns/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf, TortieError } from "../base/errors.ts";
import { formatIp, type Ip, parseIp } from "../base/ip.ts";
import { isApiError } from "../api/status.ts";
import { SysError } from "../sys/ffi.ts";
import { type EchoEvent, IcmpSocket, sourceFor, wallNs } from "../sys/icmp.ts";
import { wantsJson } from "./captures/file.ts";
import { errorWords } from "./ping/errors.ts";
import { PingStatistics, travel } from "./ping/statistics.ts";
import { integer, onAction, program, runProgram } from "./program.ts";
import { strerror } from "./strerror.ts";

type Options = {
  c?: number;
  i?: number;
  W: number;
  w?: number;
  s: number;
  t?: number;
  I?: string;
  n?: boolean;
  q?: boolean;
  f?: boolean;
  D?: boolean;
  "4"?: boolean;
  "6"?: boolean;
  output?: string;
  node?: string;
  kubeconfig?: string;
};
/** What a ping from another node is asked with. */
const FAR = new Set(["c", "n", "output", "node", "kubeconfig"]);
const USUAL = { W: 10, s: 56 } as const;

/** Payloads from this size on carry the time (struct timeval), and are timed. */
const TIMED = 16;
const MAX_SIZE = 65_507;
/** Between two packets of a flood without replies. */
const FLOOD_GAP = 10;
const MIN_USER_INTERVAL = 0.002;
/** iputils leaves after two round trips; where several processes carry a packet on a busy machine, one of them may have to wait its turn longer than
 * that, and what is late is not lost. Nobody waits once all replies are here. */
const MIN_LINGER = 1000;
const FAILED = 2;

const fail = (message: string, cause?: unknown): TortieError => new TortieError(`ping: ${message}`, { exitCode: FAILED, cause });

const seconds = (text: string): number => {
  const n = /^[0-9]*\.?[0-9]+$/.test(text) ? Number(text) : NaN;
  if (!(n <= 2_147_483)) throw fail(`invalid argument: '${text}'`);
  return n;
};

export async function main(args: string[]): Promise<number> {
  const command = program("ping", "tortie acting as ping: sends ICMP echo requests and times the replies", [
    "ping -c 3 172.16.1.2",
    "ping -i 0.005 -c 1000 -q 172.16.1.2",
    "ping -6 -I eth0 fe80::1",
    "ping -c 10 -o json 172.16.1.2                 counts and times as JSON",
    "ping --node k8s-w1 -c 10 172.16.1.2           from a node of the cluster, through its agent",
  ])
    .argument("<destination>", "address or name")
    .option("-c <count>", "stop after so many requests", integer("a count", 1, 2 ** 48))
    .option("-i <seconds>", "between requests; 1 if not given", seconds)
    .option("-W <seconds>", "wait so long for the last reply when there was none yet", seconds, USUAL.W)
    .option("-w <seconds>", "stop after so long", seconds)
    .option("-s <size>", "bytes of data", integer("a size", 0, MAX_SIZE), USUAL.s)
    .option("-t <ttl>", "time to live", integer("a time to live", 1, 255))
    .option("-I <interface>", "interface or address to send from")
    .option("-n", "no names: addresses are never looked up")
    .option("-q", "only the first lines and the summary")
    .option("-f", "flood: as fast as replies come; prints a dot for each that is missing")
    .option("-D", "the time before each line")
    .option("-4", "IPv4 only")
    .option("-6", "IPv6 only")
    .option("-o, --output <format>", "json: at the end, instead of all lines")
    .option("--node <name>", "from this node of the cluster, through its agent: -c requests (4), 0.2 s apart")
    .option("--kubeconfig <file>", "with --node: where the API is")
    .addHelpText("after", "\nExit code: 0 at least one reply, 1 none, 2 something else went wrong.\n");
  onAction(command, ping);
  try {
    return await runProgram(command, args);
  } catch (e) {
    if (e instanceof SysError || isApiError(e)) throw fail(messageOf(e), e);
    if (e instanceof TortieError && e.exitCode !== FAILED) throw new TortieError(e.message, { hint: e.hint, exitCode: FAILED, cause: e });
    throw e;
  }
}

async function resolve(name: string, options: Options): Promise<{ ip: Ip; zone: string | undefined }> {
  const [, address = name, zone] = /^([^%]+)%(.+)$/.exec(name) ?? [];
  const literal = parseIp(address);
  const family = options["4"] ? 4 : options["6"] ? 6 : 0;
  if (literal) {
    if (family !== 0 && (literal.length === 4) !== (family === 4)) throw fail(`${name}: Address family for hostname not supported`);
    return { ip: literal, zone };
  }
  try {
    return { ip: parseIp((await lookup(name, { family, order: "ipv4first" })).address)!, zone: undefined };
  } catch (e) {
    const again = (e as NodeJS.ErrnoException).code === "EAI_AGAIN";
    throw fail(`${name}: ${again ? "Temporary failure in name resolution" : "Name or service not known"}`, e);
  }
}

async function ping(name: string, options: Options): Promise<number> {
  const json = wantsJson(options.output);
  if (options.node !== undefined) {
    const { node, c: count, kubeconfig } = options;
    const usual: Options = { ...USUAL };
    const foreign = (Object.keys(options) as (keyof Options)[]).filter((o) => !FAR.has(o) && options[o] !== usual[o]);
    return (await import("./ping/onnode.ts")).pingOnNode(node, name, { count, json, kubeconfig, foreign });
  }
  if (options.kubeconfig !== undefined) throw fail("--kubeconfig is for --node");
  const { ip, zone } = await resolve(name, options);
  const own = options.I === undefined ? undefined : parseIp(options.I);
  const link = own ? zone : (options.I ?? zone);
  const from = { ...(link === undefined ? {} : { interface: link }), ...(own ? { source: own } : {}) };
  const interval = options.i ?? (options.f ? 0 : 1);
  if (interval < MIN_USER_INTERVAL && process.getuid?.() !== 0) throw fail("cannot flood, minimal interval for user must be >= 2 ms");
  let source: Ip;
  let socket: IcmpSocket;
  try {
    source = sourceFor(ip, from);
  } catch (e) {
    throw e instanceof SysError ? fail(`${own ? "bind" : "connect"}: ${strerror(e.errno)}`, e) : e;
  }
  try {
    socket = new IcmpSocket({ family: ip.length === 4 ? 4 : 6, ...from, ...(options.t === undefined ? {} : { ttl: options.t }) });
  } catch (e) {
    throw e instanceof SysError ? fail(`socket: ${strerror(e.errno)}`, e) : e;
  }
  const via = options.I === undefined ? "" : ` from ${formatIp(source)} ${own ? "" : options.I}:`;
  const size = ip.length === 4 ? `${options.s}(${options.s + 28}) bytes of data.` : `${options.s} data bytes`;
  if (!json) process.stdout.write(`PING ${name}${ip.length === 4 ? " " : ""}(${formatIp(ip)})${via} ${size}\n`);
  return new Run(name, ip, interval * 1000, { ...options, ...(json ? { q: true } : {}) }, socket).toEnd();
}

class Run {
  readonly #name: string;
  readonly #ip: Ip;
  readonly #interval: number;
  readonly #options: Options;
  readonly #socket: IcmpSocket;
  readonly #statistics = new PingStatistics();
  /** Ends everything: a signal, the deadline, or nothing more to wait for. */
  readonly #stop = new AbortController();
  readonly #epoch = wallNs();
  readonly #payload: Uint8Array;
  /** Called at each reply. */
  #onReply: () => void = () => {};

  constructor(name: string, ip: Ip, interval: number, options: Options, socket: IcmpSocket) {
    this.#name = name;
    this.#ip = ip;
    this.#interval = interval;
    this.#options = options;
    this.#socket = socket;
    this.#payload = Uint8Array.from({ length: options.s }, (_, i) => i & 255);
  }

  async toEnd(): Promise<number> {
    const { c: count = Infinity, w: deadline, s: size } = this.#options;
    const stop = (): void => this.#stop.abort();
    process.on("SIGINT", stop);
    process.on("SIGTERM", stop);
    const timer = deadline === undefined ? undefined : setTimeout(stop, deadline * 1000);
    const receiving = this.#receive();
    try {
      await this.#send(count);
      if (!this.#stop.signal.aborted) await this.#linger();
    } finally {
      stop();
      await receiving;
      clearTimeout(timer);
      process.off("SIGINT", stop);
      process.off("SIGTERM", stop);
      this.#socket.close();
    }
    const timed = size >= TIMED;
    const json = { destination: this.#name, address: formatIp(this.#ip), ...this.#statistics.json(timed) };
    process.stdout.write(
      this.#options.output === undefined
        ? this.#statistics.summary(this.#name, timed, this.#interval === 0)
        : `${JSON.stringify(json, undefined, 2)}\n`,
    );
    const { received } = this.#statistics;
    return received === 0 || (deadline !== undefined && count !== Infinity && received < count) ? 1 : 0;
  }

  /** Milliseconds since the start, by the clock that stamps the replies. */
  #now(at: bigint = wallNs()): number {
    return Number(at - this.#epoch) / 1e6 + 1;
  }

  async #send(count: number): Promise<void> {
    let start = this.#now();
    for (let n = 0; n < count && !this.#stop.signal.aborted; n++) {
      if (n > 0 && this.#interval === 0) await this.#wait(FLOOD_GAP, () => this.#statistics.received >= this.#statistics.transmitted);
      else if (n > 0) {
        // Each has its own time from the start, so late ones do not add up; after a pause of the machine they are not caught up with.
        const due = start + n * this.#interval;
        const late = this.#now() - due;
        if (late > 1000) start += late;
        if (late < 0) await sleep(-late, undefined, { signal: this.#stop.signal }).catch(() => {});
        if (this.#stop.signal.aborted) return;
      }
      this.#sendOne((n + 1) & 0xffff);
    }
  }

  #sendOne(sequence: number): void {
    const at = wallNs();
    if (this.#payload.length >= TIMED) {
      const time = new DataView(this.#payload.buffer);
      time.setBigInt64(0, at / 1_000_000_000n, true);
      time.setBigInt64(8, (at % 1_000_000_000n) / 1000n, true);
    }
    this.#statistics.sent(sequence, this.#now(at));
    try {
      this.#socket.send(this.#ip, sequence, this.#payload);
      if (this.#options.f && !this.#options.q) process.stdout.write(".");
    } catch (e) {
      if (!(e instanceof SysError)) throw e;
      if (!this.#options.q) process.stderr.write(`ping: sendmsg: ${strerror(e.errno)}\n`);
    }
  }

  /** Resolves when `done`, after `ms`, or at the end of everything. */
  async #wait(ms: number, done: () => boolean): Promise<void> {
    if (done()) return;
    const enough = new AbortController();
    this.#onReply = () => {
      if (done()) enough.abort();
    };
    await sleep(ms, undefined, { signal: AbortSignal.any([enough.signal, this.#stop.signal]) }).catch(() => {});
    this.#onReply = () => {};
  }

  async #linger(): Promise<void> {
    const s = this.#statistics;
    const ms = s.received > 0 ? Math.max(2 * s.max, this.#interval) : this.#options.W * 1000;
    await this.#wait(Math.max(MIN_LINGER, ms), () => s.received + s.errors >= s.transmitted);
  }

  async #receive(): Promise<void> {
    for await (const event of this.#socket.events(this.#stop.signal)) {
      if (event.kind === "reply") this.#reply(event);
      else this.#error(event);
      this.#onReply();
    }
  }

  #print(line: string): void {
    if (this.#options.q || this.#options.f) return;
    const now = wallNs();
    const stamp = this.#options.D ? `[${now / 1_000_000_000n}.${String((now % 1_000_000_000n) / 1000n).padStart(6, "0")}] ` : "";
    process.stdout.write(`${stamp}${line}\n`);
  }

  #reply(event: EchoEvent): void {
    const counted = this.#statistics.reply(event.sequence, this.#now(event.timeNs));
    if (!counted) return;
    if (this.#options.f && !this.#options.q) process.stdout.write("\b \b");
    const hops = event.ttl === undefined ? "" : ` ttl=${event.ttl}`;
    const time = this.#payload.length >= TIMED ? ` time=${travel(counted.ms)} ms` : "";
    const ip = formatIp(event.from);
    const from = parseIp(this.#name) || this.#options.n || ip !== formatIp(this.#ip) ? ip : `${this.#name} (${ip})`;
    this.#print(`${event.bytes} bytes from ${from}: icmp_seq=${event.sequence}${hops}${time}${counted.duplicate ? " (DUP!)" : ""}`);
  }

  #error(event: EchoEvent): void {
    this.#statistics.error();
    this.#print(`From ${formatIp(event.from)} icmp_seq=${event.sequence} ${errorWords(this.#ip.length === 4 ? 4 : 6, event.type, event.code)}`);
  }
}
