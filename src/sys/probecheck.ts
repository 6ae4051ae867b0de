// Can the kernel's WireGuard be probed on this machine? Each precondition by itself, with what to do where one is missing. Nothing is changed by looking.
import { existsSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { gunzipSync } from "node:zlib";
import { TRACEFS_PLACES } from "./tracefs.ts";
import { ARCHITECTURES, HANDSHAKE_SYMBOL, kernelTypes } from "./wireguardprobe.ts";

export type Finding = {
  readonly what: string;
  /** undefined: it cannot be told, and is no obstacle by itself. */
  readonly ok: boolean | undefined;
  /** What was seen. */
  readonly seen: string;
  /** What to do about it; empty when there is nothing to do. */
  readonly remedy: string;
};

/** The machine that is looked at. `root` stands before every path. */
export type Machine = { readonly root: string; readonly uid: number; readonly processor: string; readonly release: string };
const thisMachine = (): Machine => ({ root: "", uid: process.geteuid?.() ?? -1, processor: process.arch, release: release() });

const WANTED = ["CONFIG_KPROBES", "CONFIG_KPROBE_EVENTS"];
const OTHER_KERNEL = "This kernel cannot be probed: another one must be booted.";
const OLDEST = [5, 6] as const;

/** The findings in the order in which a person would mend them; those after a missing basis are said all the same. */
export function checkProbes(machine: Machine = thisMachine()): readonly Finding[] {
  const { root } = machine;
  const text = (path: string): string | undefined => {
    try {
      return readFileSync(root + path, "latin1");
    } catch {
      return undefined;
    }
  };
  const fine = (what: string, seen: string): Finding => ({ what, ok: true, seen, remedy: "" });
  const missing = (what: string, seen: string, remedy = ""): Finding => ({ what, ok: false, seen, remedy });
  const unknown = (what: string, seen: string): Finding => ({ what, ok: undefined, seen, remedy: "" });

  const user = (): Finding =>
    machine.uid === 0 ? fine("user", "root") : missing("user", `user ${machine.uid}`, "Run it as root: only root may probe the kernel.");

  const processor = (): Finding =>
    ARCHITECTURES.includes(machine.processor)
      ? fine("processor", machine.processor)
      : missing("processor", `${machine.processor}; where the arguments of a function are is known for ${ARCHITECTURES.join(" and ")}`);

  const kernel = (): Finding => {
    const [major = 0, minor = 0] = machine.release.split(".").map(Number);
    return major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])
      ? fine("kernel", `Linux ${machine.release}`)
      : missing("kernel", `Linux ${machine.release}: WireGuard is part of it since 5.6`);
  };

  const configuration = (): Finding => {
    const packed = `${root}/proc/config.gz`;
    const found: [string, string] | undefined = existsSync(packed)
      ? ["/proc/config.gz", gunzipSync(readFileSync(packed)).toString("latin1")]
      : [`/boot/config-${machine.release}`, `/lib/modules/${machine.release}/config`].flatMap((p): [string, string][] => {
          const config = text(p);
          return config === undefined ? [] : [[p, config]];
        })[0];
    if (!found) return unknown("kprobes", "neither /proc/config.gz nor /boot tells how this kernel was made");
    const [path, config] = found;
    const absent = WANTED.filter((name) => !config.includes(`\n${name}=y`));
    return absent.length === 0
      ? fine("kprobes", `${WANTED.join(" and ")} in ${path}`)
      : missing("kprobes", `${absent.join(" and ")} not set in ${path}`, OTHER_KERNEL);
  };

  const mount = (): Finding => {
    const mounted = TRACEFS_PLACES.find((p) => existsSync(`${root}${p}/README`));
    const usable = TRACEFS_PLACES.find((p) => existsSync(`${root}${p}/kprobe_events`));
    if (usable !== undefined) return fine("tracefs", `mounted at ${usable}`);
    if (mounted !== undefined) return missing("tracefs", `mounted at ${mounted}, without kprobe_events: this kernel has no kprobe events`);
    return missing("tracefs", "not mounted", "mount -t tracefs nodev /sys/kernel/tracing");
  };

  const symbol = (): Finding => {
    const names = text("/proc/kallsyms") ?? "";
    const line = new RegExp(`^.* ${HANDSHAKE_SYMBOL}(\\s+\\[\\w+\\])?$`, "m").exec(names);
    if (line) return fine("WireGuard", line[1] === undefined ? "built into the kernel" : "loaded as a module");
    const changed = new RegExp(` (${HANDSHAKE_SYMBOL}\\.\\S+)`).exec(names)?.[1];
    if (changed !== undefined) return missing("WireGuard", `only as ${changed}: the compiler changed how it is called`, OTHER_KERNEL);
    if (existsSync(`${root}/sys/module/wireguard`))
      return missing(
        "WireGuard",
        `it is there, but ${HANDSHAKE_SYMBOL} is not in /proc/kallsyms: compiled away, or this kernel tells no names`,
        OTHER_KERNEL,
      );
    const folder = `/lib/modules/${machine.release}`;
    if (/^kernel\/.*\/wireguard\.ko/m.test(text(`${folder}/modules.dep`) ?? ""))
      return missing("WireGuard", `the module is not loaded (no ${HANDSHAKE_SYMBOL} in /proc/kallsyms)`, "modprobe wireguard");
    if (/\/wireguard\.ko/.test(text(`${folder}/modules.builtin`) ?? ""))
      return missing(
        "WireGuard",
        `built in, but ${HANDSHAKE_SYMBOL} is not in /proc/kallsyms: compiled away, or this kernel tells no names`,
        OTHER_KERNEL,
      );
    return missing("WireGuard", `not in this kernel: no ${HANDSHAKE_SYMBOL} in /proc/kallsyms, no module in ${folder}`);
  };

  const lockdown = (): Finding => {
    const state = text("/sys/kernel/security/lockdown");
    const mode = /\[(\w+)\]/.exec(state ?? "")?.[1];
    if (state === undefined)
      return existsSync(`${root}/sys/kernel/security/lsm`)
        ? fine("lockdown", "this kernel has none")
        : unknown("lockdown", "securityfs is not mounted");
    if (mode === undefined) return unknown("lockdown", state.trim());
    return mode === "confidentiality"
      ? missing("lockdown", "confidentiality: the kernel reads none of its memory out for anybody", "Boot without lockdown=confidentiality.")
      : fine("lockdown", mode);
  };

  const offsets = (): Finding => {
    const { types, seen } = kernelTypes(root);
    return types
      ? fine("offsets", `from ${seen}`)
      : unknown("offsets", `${seen}: from the table for Linux 5.6 and later, each handshake checked by itself; neither --interface nor --existing`);
  };

  return [user(), processor(), kernel(), configuration(), lockdown(), mount(), symbol(), offsets()];
}
