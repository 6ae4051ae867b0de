// Network namespaces of a test's own, entered by its thread: system calls that are made while it is inside, and programs that are started, are in there.
// They vanish with the test's process.
import { execFileSync } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { bind, check } from "../../src/sys/ffi.ts";

const unshare = bind("int unshare(int)");
const setns = bind("int setns(int, int)");
const CLONE_NEWNET = 0x40000000;
const current = (): number => openSync("/proc/thread-self/ns/net", "r");

export class Namespace {
  readonly #fd: number;

  constructor() {
    const home = current();
    check(unshare(CLONE_NEWNET), "make a network namespace");
    this.#fd = current();
    check(setns(home, CLONE_NEWNET), "return");
    closeSync(home);
    this.ip("link set lo up");
  }

  /** Runs `body`, which does not wait for anything, inside. */
  run<T>(body: () => T): T {
    const home = current();
    check(setns(this.#fd, CLONE_NEWNET), "enter a network namespace");
    try {
      return body();
    } finally {
      check(setns(home, CLONE_NEWNET), "return");
      closeSync(home);
    }
  }

  /** `ip` with these words; what it says. */
  ip(words: string): string {
    return this.run(() => execFileSync("ip", words.split(" "), { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }));
  }

  /** A veth link from here to there. Addresses with prefix length; those of IPv6 are good at once. */
  join(name: string, addresses: readonly string[], there: Namespace, thereName: string, thereAddresses: readonly string[]): void {
    this.ip(`link add ${name} type veth peer name ${thereName} netns /proc/${process.pid}/fd/${there.#fd}`);
    for (const [ns, link, all] of [
      [this, name, addresses],
      [there, thereName, thereAddresses],
    ] as const) {
      for (const a of all) ns.ip(`addr add ${a} dev ${link}${a.includes(":") ? " nodad" : ""}`);
      ns.ip(`link set ${link} up`);
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}
