// What the lab needs of the machine, each said in one sentence with the way to get it.
import { existsSync } from "node:fs";
import { TortieError } from "../base/errors.ts";
import { installed } from "../sys/exec.ts";

const PROGRAMS: Readonly<Record<string, string>> = {
  unshare: "util-linux",
  nsenter: "util-linux",
  setpriv: "util-linux",
  mount: "mount",
  ip: "iproute2",
};

/** Throws TortieError for the first thing that is missing. */
export async function requireMachine(): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new TortieError("Cannot run the lab: it makes network namespaces, which takes root; run the same command with sudo or in a root shell");
  if (!existsSync("/dev/net/tun"))
    throw new TortieError(
      "Cannot run the lab: there is no /dev/net/tun; get it with `modprobe tun`, in a container by starting it with --device /dev/net/tun --cap-add NET_ADMIN --cap-add SYS_ADMIN",
    );
  for (const [program, debianPackage] of Object.entries(PROGRAMS))
    if (!(await installed(program)))
      throw new TortieError(`Cannot run the lab: the program "${program}" is missing; get it with \`apt-get install ${debianPackage}\``);
}
