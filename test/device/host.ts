// A "machine" for tests: a network and mount namespace of its own with a private /run, held by a process that ends when the test process does, so
// that nothing is left behind whatever happens.
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { TORTIE } from "../peers.ts";
import { rootOf } from "../../src/sys/ns.ts";

const start = promisify(execFile);
/** Until `check` answers; the last error after `ms`, which is there for what hangs: a busy machine is only slow. */
export async function eventually<T>(check: () => T | Promise<T>, ms = 60_000): Promise<T> {
  for (const end = Date.now() + ms; ;) {
    try {
      return await check();
    } catch (e) {
      if (Date.now() > end) throw e;
    }
    await sleep(20);
  }
}

/** What depends on how soon each process is given a processor is tried again: `times` over is no accident. */
export async function tried(what: string, attempt: () => Promise<boolean>, times = 5): Promise<void> {
  for (let n = 0; n < times; n++) if (await attempt()) return;
  throw new Error(`${times} times in vain: ${what}`);
}

export type Spawned = { readonly child: ChildProcess; readonly output: () => string; readonly exit: Promise<number | null> };

/** "tortie", the path of a wireguard-go, or the words of a command that takes "-f IF". */
export type DeviceProgram = string | readonly string[];

/** `wg show` of a device with 100,000 allowed IPs. */
const LONGEST_OUTPUT = 64 << 20;
/** On a busy machine a process takes long to start; that is no failure. */
const START_MS = 60_000;

export class Host {
  readonly #holder: ChildProcess;
  readonly #children: Spawned[] = [];
  private constructor(holder: ChildProcess) {
    this.#holder = holder;
  }

  static async create(): Promise<Host> {
    const script = "mount --make-rprivate / && mount -t tmpfs tmpfs /run && ip link set lo up && echo ready && exec cat";
    const holder = spawn("unshare", ["-n", "-m", "sh", "-c", script], { stdio: ["pipe", "pipe", "inherit"] });
    await once(holder.stdout, "data");
    return new Host(holder);
  }

  get pid(): number {
    return this.#holder.pid!;
  }

  #enter(command: readonly string[]): string[] {
    return ["-t", String(this.pid), "-n", "-m", "--", ...command];
  }

  /** Runs a command to its end; throws with its words when it fails. */
  run(...command: string[]): string {
    return execFileSync("nsenter", this.#enter(command), {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
      timeout: 200_000,
      maxBuffer: LONGEST_OUTPUT,
    });
  }

  async runAsync(...command: string[]): Promise<string> {
    return (await start("nsenter", this.#enter(command), { timeout: 200_000, maxBuffer: LONGEST_OUTPUT })).stdout;
  }

  /** With text on its standard input. */
  feed(input: string, ...command: string[]): string {
    // A pipe: /dev/stdin of the socket that Node gives cannot be opened.
    const piped = ["sh", "-c", 'cat | "$@"', "sh", ...command];
    return execFileSync("nsenter", this.#enter(piped), { encoding: "utf8", input, stdio: ["pipe", "pipe", "pipe"], timeout: 200_000 });
  }

  /** Runs a shell script to its end, its text on the shell's standard input; throws with its words when it fails. */
  sh(script: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const child = execFile("nsenter", this.#enter(["sh", "-s"]), { timeout: 200_000 }, (error, stdout, stderr) =>
        error ? reject(new Error(`a script ended with ${error.code}: ${stdout}${stderr}`)) : resolve(stdout),
      );
      child.stdin!.end(script);
    });
  }

  /** Starts a process that ends with this one, whatever ends this one. */
  spawn(command: readonly string[], env: NodeJS.ProcessEnv = {}, stdin: "ignore" | "pipe" = "ignore"): Spawned {
    const child = spawn("nsenter", this.#enter(["setpriv", "--pdeathsig", "KILL", "--", ...command]), {
      stdio: [stdin, "pipe", "pipe"],
      env: { ...process.env, ...env },
    });
    let output = "";
    child.stdout!.on("data", (d: Buffer) => (output += d.toString()));
    child.stderr!.on("data", (d: Buffer) => (output += d.toString()));
    // What it printed last comes after its end; what it has started, and left behind, may keep its output open.
    const printed = once(child, "close");
    printed.catch(() => {}); // `exit` tells of it
    const exit = once(child, "exit").then(async ([code]) => {
      await Promise.race([printed, sleep(5000, undefined, { ref: false })]);
      return code as number | null;
    });
    const spawned = { child, output: () => output, exit };
    this.#children.push(spawned);
    return spawned;
  }

  /** Writes /run/NAME in the host, readable by root only; its path there. */
  write(name: string, text: string): string {
    writeFileSync(`${rootOf(this.pid)}/run/${name}`, text, { mode: 0o600 });
    return `/run/${name}`;
  }

  /** Path, as this process sees it, of a device's control socket. (/var/run is a link, which would lead out of the host.) */
  controlSocket(name: string): string {
    return `${rootOf(this.pid)}/run/wireguard/${name}.sock`;
  }

  /**
   * Starts a device in the foreground; resolves when its socket listens. With `network` its link is made, and its UDP sockets stay, in that host's
   * network.
   */
  async device(program: DeviceProgram, name: string, env: NodeJS.ProcessEnv = {}, network?: Host): Promise<Spawned> {
    const words = program === "tortie" ? [process.execPath, TORTIE, "device"] : typeof program === "string" ? [program] : program;
    const there = network ? ["nsenter", "-t", String(network.pid), "-n", "--"] : [];
    const spawned = this.spawn([...there, ...words, "-f", name], { WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD: "1", ...env });
    await eventually(() => {
      if (spawned.child.exitCode !== null) throw new Error(`the device ended: ${spawned.output()}`);
      return new Promise<void>((resolve, reject) => {
        const probe = createConnection(this.controlSocket(name), () => (probe.destroy(), resolve()));
        probe.on("error", reject);
      });
    }, START_MS);
    return spawned;
  }

  /** Joins two hosts by a veth pair; the names are per host. */
  static join(a: Host, aName: string, aAddresses: readonly string[], b: Host, bName: string, bAddresses: readonly string[]): void {
    a.run("ip", "link", "add", aName, "type", "veth", "peer", "name", bName, "netns", String(b.pid));
    for (const [host, name, addresses] of [
      [a, aName, aAddresses],
      [b, bName, bAddresses],
    ] as const) {
      for (const address of addresses) host.run("ip", "addr", "add", address, "dev", name, ...(address.includes(":") ? ["nodad"] : []));
      host.run("ip", "link", "set", name, "up");
    }
  }

  async close(): Promise<void> {
    for (const { child } of this.#children) if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await Promise.all(this.#children.map((c) => c.exit));
    const ended = once(this.#holder, "exit");
    this.#holder.stdin!.end();
    await ended;
  }
}
