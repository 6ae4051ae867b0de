// Two hosts with a device each, joined by a veth pair and set up through the real wg(8).
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execFileSync } from "node:child_process";
import { find } from "../peers.ts";
import { type DeviceProgram, eventually, Host, type Spawned } from "./host.ts";

export const WG: string = find("wg") ?? "wg";
export const newKey = (): string => execFileSync(WG, ["genkey"], { encoding: "utf8" }).trim();
export const newPsk = newKey;
export const publicOf = (key: string): string => execFileSync(WG, ["pubkey"], { encoding: "utf8", input: key }).trim();

export type End = { readonly host: Host; readonly device: Spawned; readonly key: string; readonly publicKey: string; readonly outer: string };
export type Tunnel = {
  readonly a: End;
  readonly b: End;
  /** Sets keys, peers, addresses and brings both links up. Again after a restart of a device. */
  readonly configure: (which?: readonly End[]) => void;
  readonly close: () => Promise<void>;
};
export type TunnelOptions = {
  readonly programs?: readonly [DeviceProgram, DeviceProgram];
  readonly outer?: 4 | 6;
  readonly psk?: boolean;
  readonly env?: NodeJS.ProcessEnv;
};

export const IF = "wg0";
const PORT = 51820;
/** Inner addresses: the first host's end in 1, the second's in 2. */
export const inner = (n: 1 | 2, family: 4 | 6): string => (family === 4 ? `10.77.0.${n}` : `fd77::${n}`);

/** Blocks: the helpers around it do so too. */
const pause = (ms: number): unknown => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

export async function tunnel(options: TunnelOptions = {}): Promise<Tunnel> {
  const { programs = ["tortie", "tortie"], outer = 4, psk = false } = options;
  const keys = [newKey(), newKey()] as const;
  const shared = newPsk();
  const directory = mkdtempSync(join(tmpdir(), "tortie-test-"));
  const secret = (name: string, text: string): string => {
    const path = join(directory, name);
    writeFileSync(path, `${text}\n`, { mode: 0o600 });
    chmodSync(path, 0o600);
    return path;
  };
  const hosts = [await Host.create(), await Host.create()] as const;
  const close = async (): Promise<void> => {
    await Promise.all(hosts.map((h) => h.close()));
    rmSync(directory, { recursive: true });
  };
  try {
    Host.join(hosts[0], "eth0", ["192.0.2.1/24", "2001:db8::1/64"], hosts[1], "eth0", ["192.0.2.2/24", "2001:db8::2/64"]);
    // A fresh veth pair hears no neighbour solicitation for up to a second.
    if (outer === 6) await eventually(() => hosts[0].run("ping", "-6", "-c", "1", "-W", "0.3", "2001:db8::2"));
    const end = async (i: 0 | 1): Promise<End> => ({
      host: hosts[i],
      device: await hosts[i].device(programs[i], IF, options.env),
      key: keys[i],
      publicKey: publicOf(keys[i]),
      outer: outer === 4 ? `192.0.2.${i + 1}:${PORT}` : `[2001:db8::${i + 1}]:${PORT}`,
    });
    const [a, b] = await Promise.all([end(0), end(1)]);
    const configure = (which: readonly End[] = [a, b]): void => {
      for (const self of which) {
        const n = self === a ? 1 : 2;
        const other = self === a ? b : a;
        const run = (...words: string[]): string => self.host.run(...words);
        run(WG, "set", IF, "listen-port", String(PORT), "private-key", secret(`key${n}`, self.key));
        const allowed = `${inner(n === 1 ? 2 : 1, 4)}/32,${inner(n === 1 ? 2 : 1, 6)}/128`;
        const pskWords = psk ? ["preshared-key", secret("psk", shared)] : [];
        run(WG, "set", IF, "peer", other.publicKey, ...pskWords, "endpoint", other.outer, "allowed-ips", allowed);
        run("ip", "addr", "replace", `${inner(n, 4)}/24`, "dev", IF);
        run("ip", "addr", "replace", `${inner(n, 6)}/64`, "dev", IF, "nodad");
        run("ip", "link", "set", IF, "up");
      }
      // A device hears a little later that its link is up.
      for (const { host } of which) while (!host.run("ss", "-Hunl").includes(`:${PORT}`)) pause(20);
    };
    return { a, b, configure, close };
  } catch (e) {
    await close();
    throw e;
  }
}

/** Echo replies to addresses of `to`'s family that the host's kernel has heard so far. */
function replies(host: Host, to: string): number {
  if (to.includes(":")) return Number(/^Icmp6InEchoReplies\s+([0-9]+)$/m.exec(host.run("cat", "/proc/net/snmp6"))![1]);
  const [names, values] = [...host.run("cat", "/proc/net/snmp").matchAll(/^Icmp: (.*)$/gm)].map((m) => m[1]!.split(" "));
  return Number(values![names!.indexOf("InEchoReps")]);
}

/** Pings `to` from `from`: how many of `count` were answered. */
export function ping(from: Pick<End, "host">, to: string, count = 3, ...more: string[]): number {
  const before = replies(from.host, to);
  let text: string;
  try {
    text = from.host.run("ping", "-n", "-q", "-c", String(count), "-i", "0.05", "-W", "10", ...more, to);
  } catch (e) {
    text = String((e as { stdout?: string }).stdout ?? e);
  }
  const m = / ([0-9]+) received/.exec(text);
  if (!m) throw new Error(`ping said: ${text}`);
  let answered = Number(m[1]);
  // Once it had an answer, ping waits for the last one only twice the longest round trip or its interval, whatever -W says: too short when a busy machine
  // lets a device wait for its turn. The kernel counts what came after it left.
  const end = Date.now() + 2000;
  while (answered > 0 && answered < count && Date.now() < end) {
    pause(20);
    answered = replies(from.host, to) - before;
  }
  return answered;
}

/** All of `count` pings are answered. */
export function answers(from: Pick<End, "host">, to: string, count = 3, ...more: string[]): void {
  const n = ping(from, to, count, ...more);
  if (n !== count) throw new Error(`${n} of ${count} pings of ${to} were answered`);
}

export const show = (end: End, ...words: string[]): string => end.host.run(WG, "show", IF, ...words).trim();

/** One request on the control socket; the whole answer. */
export function uapi(end: Pick<End, "host">, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(end.host.controlSocket(IF));
    let text = "";
    socket.on("error", reject);
    socket.on("data", (d: Buffer) => {
      text += d.toString();
      if (text.endsWith("\n\n")) socket.end();
    });
    socket.on("close", () => resolve(text));
    socket.write(request);
  });
}
