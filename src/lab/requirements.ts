// What the lab needs of the machine, each said in one sentence with the way to get it.
import { existsSync, readFileSync } from "node:fs";
import { TortieError } from "../base/errors.ts";
import { installed } from "../sys/exec.ts";

const PROGRAMS: Readonly<Record<string, string>> = {
  unshare: "util-linux",
  nsenter: "util-linux",
  setpriv: "util-linux",
  mount: "mount",
  ip: "iproute2",
};

const IN_CONTAINER = "by starting the container with --cap-add SYS_ADMIN --cap-add NET_ADMIN --device /dev/net/tun";
/** Bits of capabilities(7). */
const CAPABILITIES = { CAP_NET_ADMIN: 12n, CAP_SYS_ADMIN: 21n } as const;

/** Names of the capabilities that the process with this /proc/PID/status lacks. */
export function lackingCapabilities(status: string): string[] {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0"}`);
  return Object.entries(CAPABILITIES).flatMap(([name, bit]) => ((effective >> bit) & 1n ? [] : [name]));
}

/** Throws TortieError for the first thing that is missing. */
export async function requireMachine(): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new TortieError("Cannot run the lab: it makes network namespaces, which takes root; run the same command with sudo or in a root shell");
  if (!existsSync("/dev/net/tun"))
    throw new TortieError(`Cannot run the lab: there is no /dev/net/tun; get it with \`modprobe tun\`, in a container ${IN_CONTAINER}`);
  const lacking = lackingCapabilities(readFileSync("/proc/self/status", "utf8"));
  if (lacking.length > 0)
    throw new TortieError(
      `Cannot run the lab: root lacks ${lacking.join(" and ")} here, without which no namespace can be made; get it ${IN_CONTAINER}`,
    );
  for (const [program, debianPackage] of Object.entries(PROGRAMS))
    if (!(await installed(program)))
      throw new TortieError(`Cannot run the lab: the program "${program}" is missing; get it with \`apt-get install ${debianPackage}\``);
}
