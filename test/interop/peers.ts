// The implementations that our device meets. A new one is one line of PEERS.
import { existsSync } from "node:fs";
import { Host, type Spawned } from "../device/host.ts";
import { find } from "../peers.ts";
import { Guest, missingGuest } from "./guest.ts";
import type { Machine } from "./machine.ts";

/** A WireGuard implementation on a machine of its own. Its link is wg0. */
export interface Peer {
  readonly machine: Machine;
  /** Joins its eth0 and the eth0 of `host` by a wire; both are up, with an MTU of 9000, and have no address. */
  attach(host: Host): Promise<void>;
  /** A host that reaches the peer at `address` without using its wire. */
  neighbour(): { readonly host: Host; readonly address: string };
  /** Makes wg0: starts the process, or adds the link. */
  start(): Promise<void>;
  /** Ends wg0 without notice: kills the process, or deletes the link. */
  stop(): Promise<void>;
  close(): Promise<void>;
}
export type Kind = {
  readonly name: string;
  /** Why it cannot be had here, and how to get it. */
  readonly missing?: string | undefined;
  readonly open: () => Promise<Peer>;
  /** How much it is asked to send at a time, in bytes. */
  readonly bytes: number;
};

export const IF = "wg0";

/** A device in a process of its own. `program`: "tortie", or the path of a wireguard-go. */
export class Userspace implements Peer {
  readonly machine: Host;
  readonly #program: string;
  readonly #env: NodeJS.ProcessEnv;
  #device: Spawned | undefined;
  private constructor(machine: Host, program: string, env: NodeJS.ProcessEnv) {
    this.machine = machine;
    this.#program = program;
    this.#env = env;
  }
  static async open(program: string, env: NodeJS.ProcessEnv = {}): Promise<Userspace> {
    return new Userspace(await Host.create(), program, env);
  }
  attach(host: Host): Promise<void> {
    Host.join(host, "eth0", [], this.machine, "eth0", []);
    for (const h of [host, this.machine]) h.run("ip", "link", "set", "eth0", "mtu", "9000");
    return Promise.resolve();
  }
  neighbour(): { host: Host; address: string } {
    return { host: this.machine, address: "127.0.0.1" };
  }
  /** What the device printed. */
  get output(): string {
    return this.#device?.output() ?? "";
  }
  async start(): Promise<void> {
    this.#device = await this.machine.device(this.#program, IF, this.#env);
  }
  async stop(): Promise<void> {
    this.#device?.child.kill("SIGKILL");
    await this.#device?.exit;
  }
  close(): Promise<void> {
    return this.machine.close();
  }
}

/** The kernel's own WireGuard, in a guest. */
class Kernel implements Peer {
  readonly machine: Guest;
  private constructor(machine: Guest) {
    this.machine = machine;
  }
  static async open(): Promise<Kernel> {
    return new Kernel(await Guest.boot());
  }
  attach(host: Host): Promise<void> {
    return this.machine.attach(host);
  }
  neighbour(): { host: Host; address: string } {
    return { host: this.machine.outside, address: "192.0.2.2" };
  }
  async start(): Promise<void> {
    await this.machine.sh(`ip link add ${IF} type wireguard`);
  }
  async stop(): Promise<void> {
    await this.machine.sh(`ip link del ${IF}`);
  }
  close(): Promise<void> {
    return this.machine.close();
  }
}

const debian = "/usr/bin/wireguard-go";
const current = find("wireguard-go");
const userspace = (name: string, program: string, missing?: string): Kind => ({ name, missing, open: () => Userspace.open(program), bytes: 2 << 20 });

export const PEERS: readonly Kind[] = [
  userspace("ours", "tortie"),
  userspace("Debian's wireguard-go", debian, existsSync(debian) ? undefined : "apt-get install wireguard-go"),
  userspace("the current wireguard-go", current ?? "", current !== undefined && current !== debian ? undefined : "scripts/peers"),
  // Every instruction of the guest is emulated.
  { name: "the kernel", missing: missingGuest, open: () => Kernel.open(), bytes: 512 << 10 },
];
