// A machine with a kernel of its own: one of Debian's, with its WireGuard module, in QEMU under software emulation (scripts/guest makes them, scripts/guest-init is
// the first process). It boots in some seconds, so one serves many tests. Its eth0 ends in a bridge of a namespace of its own, to which hosts are joined.
// Scripts go in and answers come out through QEMU's standard input and output, so that nothing is left when either side dies.
import { copyFileSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Host, type Spawned } from "../device/host.ts";
import { find, peersDirectory } from "../peers.ts";
import { writeArchive } from "./archive.ts";
import { programFiles, wantedFile } from "./program.ts";
import { rootOf } from "../../src/sys/ns.ts";

const images = join(peersDirectory, "../guest");
const image = (kernel: string, name: string): string => join(images, kernel, name);

/** Machines that QEMU emulates, by what their kernels' names begin with. */
const MACHINES = {
  amd64: { program: "qemu-system-x86_64", words: "-cpu max", console: "ttyS0", packages: "qemu-system-x86 seabios" },
  // Pointer authentication as it is specified takes half of the time. There is no ROM to start from the network.
  arm64: { program: "qemu-system-aarch64", words: "-machine virt -cpu max,pauth-impdef=on", console: "ttyAMA0", packages: "qemu-system-arm" },
} as const;
const isArm = (kernel: string): boolean => kernel.startsWith("arm64-");
const machineOf = (kernel: string): (typeof MACHINES)["amd64" | "arm64"] => MACHINES[isArm(kernel) ? "arm64" : "amd64"];

/** The kernels that were made here, the newest of this machine's processor first: "6.12", "6.1", "arm64-6.12". */
export const kernels: readonly string[] = (existsSync(images) ? readdirSync(images) : [])
  .filter((name) => /^(arm64-)?\d+\.\d+$/.test(name) && existsSync(image(name, "initramfs")))
  .sort((a, b) => Number(isArm(a)) - Number(isArm(b)) || b.localeCompare(a, undefined, { numeric: true }));

/** Why there can be no guest with this kernel here, and how to get one. */
export function missingKernel(name: string): string | undefined {
  const { program, packages } = machineOf(name);
  return find(program) === undefined ? `apt-get install ${packages}` : kernels.includes(name) ? undefined : "scripts/guest";
}
/** Why there can be no guest at all here. */
export const missingGuest: string | undefined = missingKernel(kernels[0] ?? "");

const MAX_MTU = 9000;
const words = (text: string): string[] => text.split(" ");
type Answer = { readonly status: number; readonly out: string; readonly err: string };

export class Guest {
  /** The namespace of its bridge, which has the address 192.0.2.9 there. */
  readonly outside: Host;
  readonly #qemu: Spawned;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #lastId = 0;
  #wires = 0;
  private constructor(outside: Host, qemu: Spawned) {
    this.outside = outside;
    this.#qemu = qemu;
    createInterface(qemu.child.stdout!).on("line", (line) => {
      const [id, status, out, err] = line.split(" ");
      const text = (base64 = ""): string => Buffer.from(base64, "base64").toString();
      this.#waiting.get(Number(id))?.({ status: Number(status), out: text(out), err: text(err) });
      this.#waiting.delete(Number(id));
    });
  }

  /**
   * Boots one; resolves when it runs scripts. `program`: with this program and Node (program.ts), for which it gets more memory. `kernel`: one of `kernels`.
   * `words`: more for the kernel's command line.
   */
  static async boot(options: { readonly program?: boolean; readonly kernel?: string; readonly words?: string } = {}): Promise<Guest> {
    const { kernel = kernels[0]!, words: more = "" } = options;
    const machine = machineOf(kernel);
    const outside = await Host.create();
    try {
      let initramfs = image(kernel, "initramfs");
      if (options.program) {
        // In the private memory of that namespace, gone with it. The kernel unpacks archives that stand one behind the other.
        const path = `${rootOf(outside.pid)}/run/initramfs`;
        copyFileSync(initramfs, path);
        writeArchive(path, programFiles(isArm(kernel) ? join(images, kernel) : undefined), wantedFile, "a");
        initramfs = "/run/initramfs";
      }
      await outside.sh(`set -e
ip link add br0 mtu ${MAX_MTU} type bridge
ip tuntap add tap0 mode tap
for l in tap0 br0; do ip link set $l mtu ${MAX_MTU} up; done
ip link set tap0 master br0
ip addr add 192.0.2.9/24 dev br0`);
      const qemu = outside.spawn(
        [
          find(machine.program)!,
          ...words(
            `-accel tcg ${machine.words} -m ${options.program ? 768 : 256} -nodefaults -display none -no-reboot -serial file:/run/console -append`,
          ),
          // On a busy machine an emulated timer may not tick while the kernel waits for it to.
          `console=${machine.console} quiet panic=-1 mitigations=off no_timer_check ${more}`,
          ...words("-chardev stdio,id=control,signal=off -device virtio-serial-pci -device virtserialport,chardev=control,name=control"),
          ...words("-netdev tap,id=net,ifname=tap0,script=no,downscript=no -device"),
          `virtio-net-pci,netdev=net,host_mtu=${MAX_MTU},rx_queue_size=1024,romfile=`,
          "-kernel",
          image(kernel, "vmlinuz"),
          "-initrd",
          initramfs,
        ],
        {},
        "pipe",
      );
      const guest = new Guest(outside, qemu);
      // It answers number 0 of its own accord.
      await guest.#answer(0);
      return guest;
    } catch (e) {
      await outside.close();
      throw e;
    }
  }

  /** What its kernel said. */
  #console(): string {
    try {
      return readFileSync(`${rootOf(this.outside.pid)}/run/console`, "utf8");
    } catch {
      return "";
    }
  }

  #answer(id: number): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, resolve);
      void this.#qemu.exit.then(() => reject(new Error(`the guest ended: ${this.#qemu.output()}\n${this.#console()}`)));
    });
  }

  /** Runs a script to its end, many side by side; throws with its words when it fails. */
  async sh(script: string): Promise<string> {
    const id = ++this.#lastId;
    const answer = this.#answer(id);
    this.#qemu.child.stdin!.write(`${id} ${Buffer.from(script).toString("base64")}\n`);
    const { status, out, err } = await answer;
    // Not the script: there may be keys in it.
    if (status !== 0) throw new Error(`a script in the guest ended with ${status}: ${out}${err}`);
    return out;
  }

  /** Starts a program that runs as long as the guest, unless it ends before. */
  spawn(command: readonly string[]): Promise<string> {
    return this.sh(`${command.map((word) => `'${word}'`).join(" ")} </dev/null >/dev/null 2>&1 &`);
  }

  /** Joins eth0 of `host`, a new link, to the guest's; both are up, without addresses. */
  async attach(host: Host): Promise<void> {
    const port = `port${++this.#wires}`;
    Host.join(host, "eth0", [], this.outside, port, []);
    this.outside.run("ip", "link", "set", port, "mtu", String(MAX_MTU), "master", "br0");
    host.run("ip", "link", "set", "eth0", "mtu", String(MAX_MTU));
    await this.sh(`ip link set eth0 mtu ${MAX_MTU} up`);
  }

  /** Ends it, at once. */
  close(): Promise<void> {
    return this.outside.close();
  }
}
