// What the matrix needs of a machine, be it a namespace of this kernel or a guest with a kernel of its own: that it runs shell scripts.
// Each has busybox, wg, ip and ping, and a link eth0 to the other machine.

export interface Machine {
  /** Runs a script to its end; what it printed. Throws with its words when it fails. */
  sh(script: string): Promise<string>;
  /** Starts a program that runs as long as the machine, unless it ends before. */
  spawn(command: readonly string[]): unknown;
}

/** Where a machine's digest server listens: it answers what it read to the end with its SHA-256. */
const DIGEST_PORT = 5001;

/** Starts the digest server. */
export async function serveDigests(machine: Machine): Promise<void> {
  machine.spawn(["busybox", "nc", "-ll", "-p", String(DIGEST_PORT), "-e", "busybox", "sha256sum"]);
  await machine.sh(`until busybox netstat -ltn | grep -q ':${DIGEST_PORT} '; do sleep 0.02; done`);
}

/** Makes `bytes` random bytes in /run/data, and gives their digest. */
export async function makeData(machine: Machine, bytes: number): Promise<string> {
  return digest(await machine.sh(`busybox head -c ${bytes} /dev/urandom >/run/data; busybox sha256sum </run/data`));
}

/** Sends /run/data by TCP to the digest server at `to`; the digest of what arrived there. */
export async function sendData(machine: Machine, to: string): Promise<string> {
  return digest(await machine.sh(`busybox nc -w 20 ${to} ${DIGEST_PORT} </run/data`));
}

function digest(text: string): string {
  const m = /^[0-9a-f]{64}/.exec(text);
  if (!m) throw new Error(`no digest: ${JSON.stringify(text)}`);
  return m[0];
}

/** Sends `count` pings one after the other: each is answered, however late on a busy machine, and none is sent twice. */
export async function pings(machine: Machine, to: string, count = 1, words = ""): Promise<void> {
  await machine.sh(`set -e; for i in $(busybox seq ${count}); do ping -n -q -c 1 -W 10 ${words} ${to}; done`);
}
