// What is measured: no tunnel, devices at both ends (ours in any build and with any switches, each wireguard-go that is here), OpenVPN.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type DeviceProgram, Host } from "../test/device/host.ts";
import { type End, inner, tunnel } from "../test/device/tunnel.ts";
import { find, TORTIE } from "../test/peers.ts";
import { openvpn } from "./openvpn.ts";

/** Two joined hosts with the subject between them. */
export type Link = {
  readonly a: Host;
  readonly b: Host;
  /** An address of b, reached through the subject. */
  readonly target: string;
  /** The processes that carry the packets: one an end, or none. */
  readonly pids: readonly number[];
  readonly close: () => Promise<void>;
};
/** How a WireGuard device is started. */
export type Device = { readonly program: DeviceProgram; readonly env: NodeJS.ProcessEnv };
export type Subject = {
  /** As it was asked for: "tortie@--threads=2". */
  readonly name: string;
  /** With its version, for a heading. */
  readonly title: string;
  readonly link: () => Promise<Link>;
  /** The WireGuard device it runs, for what is measured on one device alone. */
  readonly device?: Device;
};

export const CURRENT = "wireguard-go";

/** "X=1+--threads=2": variables for the environment, and words for the command line. */
function switchesOf(text: string): { env: NodeJS.ProcessEnv; words: string[] } {
  const all = text === "" ? [] : text.split("+");
  const env = Object.fromEntries(all.filter((s) => !s.startsWith("-")).map((s) => [s.slice(0, s.indexOf("=")), s.slice(s.indexOf("=") + 1)]));
  return { env, words: all.filter((s) => s.startsWith("-")) };
}

const versionOf = (program: string): string => {
  // OpenVPN prints its version and fails.
  const said = (e: unknown): string => String((e as { stdout?: string }).stdout ?? "");
  let text: string;
  try {
    text = execFileSync(program, ["--version"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  } catch (e) {
    text = said(e);
  }
  return /v?([0-9]+\.[0-9]+\.[0-9]+)/.exec(text)?.[1] ?? "?";
};

function deviceSubject(name: string, title: string, program: DeviceProgram, env: NodeJS.ProcessEnv): Subject {
  const link = async (): Promise<Link> => {
    const t = await tunnel({ programs: [program, program], env });
    try {
      t.configure();
      return { a: t.a.host, b: t.b.host, target: inner(2, 4), pids: [t.a, t.b].map((e: End) => e.device.child.pid!), close: t.close };
    } catch (e) {
      await t.close();
      throw e;
    }
  };
  return { name, title, link, device: { program, env } };
}

/** Two hosts joined by a veth pair, and what `between` makes of them. */
async function joined(
  between: (hosts: readonly [Host, Host]) => Promise<{ target: string; pids: readonly number[]; close: () => void }>,
): Promise<Link> {
  const hosts = [await Host.create(), await Host.create()] as const;
  const closeHosts = async (): Promise<void> => void (await Promise.all(hosts.map((h) => h.close())));
  try {
    Host.join(hosts[0], "eth0", ["192.0.2.1/24"], hosts[1], "eth0", ["192.0.2.2/24"]);
    const made = await between(hosts);
    const close = async (): Promise<void> => {
      await closeHosts();
      made.close();
    };
    return { a: hosts[0], b: hosts[1], target: made.target, pids: made.pids, close };
  } catch (e) {
    await closeHosts();
    throw e;
  }
}

/**
 * `none`, `wireguard-go`, `wireguard-go-debian`, `openvpn`, `tortie`; all but the first two may end in `@SWITCHES`, e.g. `tortie@TORTIE_X=0+--threads=2`, and
 * `tortie:DIST@…` is another build. `env` is for each of ours. undefined: the program is not here.
 */
export function subject(name: string, env: NodeJS.ProcessEnv = {}): Subject | undefined {
  const [what = "", ...rest] = name.split("@");
  const switched = switchesOf(rest.join("@"));
  if (what === "none") return { name, title: "no tunnel", link: () => joined(async () => ({ target: "192.0.2.2", pids: [], close: () => {} })) };
  if (what === "tortie" || what.startsWith("tortie:")) {
    const main = what === "tortie" ? TORTIE : join(what.slice("tortie:".length), "cli/main.js");
    if (!existsSync(main)) throw new Error(`There is no ${main}: build first`);
    return deviceSubject(name, name, [process.execPath, main, "device", ...switched.words], { ...env, ...switched.env });
  }
  if (what === CURRENT || what === "wireguard-go-debian") {
    const program = find("wireguard-go", { debian: what !== CURRENT });
    if (program === undefined) return undefined;
    const switches = rest.length > 0 ? ` ${rest.join(" ")}` : "";
    return deviceSubject(name, `wireguard-go ${versionOf(program)}${switches}`, [program, ...switched.words], switched.env);
  }
  if (what === "openvpn") {
    const program = find("openvpn");
    return program === undefined
      ? undefined
      : { name, title: `OpenVPN ${versionOf(program)}`, link: () => joined((hosts) => openvpn(program, hosts)) };
  }
  throw new Error(`There is no subject "${what}": none, tortie, wireguard-go, wireguard-go-debian, openvpn`);
}

/** All that are here. When there is only one wireguard-go, it is the current one. */
export function subjects(): readonly string[] {
  const [current, debian] = [find("wireguard-go"), find("wireguard-go", { debian: true })];
  const all = ["none", "tortie", CURRENT, ...(debian === current ? [] : ["wireguard-go-debian"]), "openvpn"];
  const ours = execFileSync(process.execPath, [TORTIE, "device", "--help"], { encoding: "utf8" });
  return ours.includes("--threads") ? all.toSpliced(2, 0, "tortie@--threads=2") : all;
}
