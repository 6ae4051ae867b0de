// A device from its start to its end: the parts in start order, undone in reverse.
import { closeSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { TortieError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { opensslCrypto } from "../crypto/openssl.ts";
import { bootClock } from "../sys/bootclock.ts";
import { closeEventfd, openEventfd, wake } from "../sys/eventfd.ts";
import { LinkWatch } from "../sys/link.ts";
import { share } from "../sys/memory.ts";
import { forbidDumps, lockMemory } from "../sys/protect.ts";
import { Slab } from "../sys/slab.ts";
import { describeTun, openTun, type Tun, tunName } from "../sys/tun.ts";
import { serveUapi, type UapiServer } from "../uapi/server.ts";
import { createTables, Device, initTables, type Moment } from "../wireguard/index.ts";
import { openKeylogFile } from "./keylogfile.ts";
import { LiveDevice } from "./livedevice.ts";
import { Mail, type Plan, plan } from "./plan.ts";
import { announceDescriptors, Sockets } from "./sockets.ts";
import { Ticker } from "./ticker.ts";
import type { WorkerData, WorkerMessage } from "./worker.ts";

const SOCKET_DIRECTORY = "/var/run/wireguard";
const DEFAULT_MTU = 1420;
const STOP_MS = 2000;

export type RunOptions = {
  readonly name: string;
  readonly log: Log;
  /** An attached TUN, instead of making one. */
  readonly tunFd?: number | undefined;
  /** A listening UAPI socket, instead of making one. */
  readonly uapiFd?: number | undefined;
  readonly keylogFile?: string | undefined;
  /** Called once, when the control socket listens. */
  readonly ready: () => void;
  /** Ends the device; the value says why. */
  readonly stop: Promise<string>;
};

/** What was started, to be undone in reverse. */
class Undo {
  readonly #steps: (() => unknown)[] = [];
  push(step: () => unknown): void {
    this.#steps.push(step);
  }
  /** All of them, even when one fails; then the first failure is thrown. */
  async all(): Promise<void> {
    const failures: unknown[] = [];
    for (let step = this.#steps.pop(); step; step = this.#steps.pop()) {
      try {
        await step();
      } catch (thrown) {
        failures.push(thrown);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}

/** Runs a device until it is stopped, its socket removed or its link deleted. Throws TortieError when it cannot start or breaks. */
export async function runDevice(options: RunOptions): Promise<void> {
  const undo = new Undo();
  try {
    options.log.info("device stops", { why: await live(options, undo) });
  } finally {
    await undo.all();
  }
}

function takeTun(options: RunOptions): Tun {
  return options.tunFd === undefined ? openTun(options.name) : describeTun(options.tunFd);
}

/** Starts, lives, and says why it ended. */
async function live(options: RunOptions, undo: Undo): Promise<string> {
  const { log } = options;
  if (!forbidDumps()) log.warn("core dumps of this process could not be switched off");
  const tun = takeTun(options);
  undo.push(() => closeSync(tun.fd));

  const where = plan();
  const memory = share(where.bytes);
  const slab = new Slab(memory, where.control, where.bytes);
  if (!lockMemory(slab.base, where.bytes)) log.warn("the keys' memory could not be locked: it may be swapped out");
  undo.push(() => slab.u8.fill(0, where.worker, where.bytes));
  const tables = createTables(memory.buffer, where.tables, where.limits);
  initTables(tables);
  const clockAt = slab.take(16);
  const clock = bootClock(slab.i32.subarray(clockAt >>> 2, (clockAt >>> 2) + 4), slab.base + clockAt);
  const moment = (): Moment => ({ now: clock.now(), wall: clock.wall() });
  const crypto = opensslCrypto();
  const device = new Device(tables, crypto);
  undo.push(() => device.close());

  const wakeFd = openEventfd();
  undo.push(() => closeEventfd(wakeFd));
  let watch = new LinkWatch(tun.fd);
  undo.push(() => watch.close());
  const made = !tun.persistent && options.tunFd === undefined;
  if (made) watch.setMtu(tun.name, DEFAULT_MTU);

  const mail = slab.i32;
  for (const [word, value] of [
    [Mail.TUN, tun.fd],
    [Mail.WAKE, wakeFd],
    [Mail.LINK, watch.changes],
    [Mail.UDP4, -1],
    [Mail.UDP6, -1],
    [Mail.DESCRIPTORS, 1],
  ] as const)
    Atomics.store(mail, word, value);

  const sockets = new Sockets(slab, wakeFd);
  const ticker = new Ticker(() => control());
  const liveDevice = new LiveDevice({ device, sockets, wakeFd, log, moment, changed: () => ticker.soon() });
  let finish: (why: string) => void;
  let fail: (error: unknown) => void;
  const ended = new Promise<string>((resolve, reject) => ([finish, fail] = [resolve, reject]));

  /** The link as it is now; in the namespace where it is now. */
  const lookAtLink = (): void => {
    const name = tunName(tun.fd);
    if (name === undefined) return finish("its link was deleted");
    let state = watch.state(name);
    if (!state) {
      const old = watch;
      watch = new LinkWatch(tun.fd);
      Atomics.store(mail, Mail.LINK, watch.changes);
      announceDescriptors(mail, wakeFd);
      old.close();
      state = watch.state(name);
    }
    if (!state) return;
    liveDevice.setMtu(state.mtu);
    liveDevice.setUp(state.up);
  };

  /** One turn of the control thread; true: the device is up. */
  function control(): boolean {
    Atomics.store(mail, Mail.TOLD, 0);
    if (Atomics.load(mail, Mail.TUN_GONE) === 1) finish("its link was deleted");
    else if (Atomics.exchange(mail, Mail.LINK_CHANGED, 0) === 1 || (liveDevice.up && !liveDevice.listening)) lookAtLink();
    liveDevice.perform(device.receive(moment()));
    liveDevice.perform(device.tick(moment()));
    if (device.backlog) ticker.now();
    return liveDevice.up;
  }

  const worker = await startWorker({ memory, plan: where }, () => ticker.now());
  undo.push(() => stopWorker(worker, mail, wakeFd));
  worker.thread.on("error", (error) => fail(new TortieError(`Cannot go on: the data worker broke: ${error.message}`, { cause: error })));
  undo.push(() => ticker.stop());
  undo.push(() => sockets.close());
  log.info("device", { link: tun.name, attached: !made, crypto: crypto.name, packets: worker.crypto });

  if (options.keylogFile !== undefined && options.keylogFile !== "") {
    const file = openKeylogFile(options.keylogFile);
    undo.push(() => file.close());
    undo.push(
      liveDevice.keylog((lines) => {
        try {
          file.write(lines);
        } catch (error) {
          log.error("the key log could not be written", { error: String(error) });
        }
        lines.fill(0);
      }),
    );
  }
  const path = `${SOCKET_DIRECTORY}/${tun.name}.sock`;
  const server: UapiServer = await serveUapi(path, liveDevice, options.uapiFd === undefined ? {} : { fd: options.uapiFd });
  undo.push(() => server.close());
  lookAtLink();
  ticker.soon();
  options.ready();
  return Promise.race([ended, server.gone.then(() => "its socket was removed"), options.stop]);
}

type RunningWorker = { readonly thread: Worker; readonly crypto: string };

function startWorker(data: { memory: WorkerData["memory"]; plan: Plan }, look: () => void): Promise<RunningWorker> {
  return new Promise((resolve, reject) => {
    const thread = new Worker(new URL("./worker.js", import.meta.url), { workerData: data satisfies WorkerData, name: "data" });
    thread.on("message", (message: WorkerMessage) => {
      if (message === "look") look();
      else resolve({ thread, crypto: message.ready });
    });
    thread.once("error", (error) => reject(new TortieError(`Cannot start the data worker: ${error.message}`, { cause: error })));
  });
}

function stopWorker(worker: RunningWorker, mail: Int32Array, wakeFd: number): Promise<void> {
  return new Promise((resolve) => {
    const late = setTimeout(() => void worker.thread.terminate().then(() => resolve()), STOP_MS);
    worker.thread.once("exit", () => {
      clearTimeout(late);
      resolve();
    });
    Atomics.store(mail, Mail.STOP, 1);
    wake(wakeFd);
  });
}
