// The device process: found running and adopted, or started; noticed when it dies by the control connection that is kept open.
import { setTimeout as sleep } from "node:timers/promises";
import { rm } from "node:fs/promises";
import { TortieError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { startDaemon, stopDaemon } from "../../sys/daemon.ts";
import { connect, socketPath, type UapiConnection } from "../../uapi/client.ts";
import { deviceLogFile, devicePidFile } from "../paths.ts";

const POLL_MS = 15;
const START_TIMEOUT_MS = 10_000;

export type DeviceOptions = {
  readonly name: string;
  /** Program and arguments; the interface's name is put behind them. */
  readonly command: readonly string[];
  readonly log: Log;
  /** The device ended, or closed its connection, without being told to. */
  readonly onDeath: () => void;
};

export class Device {
  readonly #options: DeviceOptions;
  #connection: UapiConnection | undefined;
  #stopping = false;

  constructor(options: DeviceOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }
  /** The open connection; undefined while the device is not there. */
  get connection(): UapiConnection | undefined {
    return this.#connection;
  }

  /** Connects to the device, starts it first where it does not run. Throws TortieError when it does not come up. */
  async ensure(): Promise<UapiConnection> {
    if (this.#connection) return this.#connection;
    const { name, log } = this.#options;
    const running = await connect(name).catch(() => undefined);
    if (running) log.info("adopted the running device", { interface: name });
    return this.#take(running ?? (await this.#start()));
  }

  #take(connection: UapiConnection): UapiConnection {
    this.#connection = connection;
    void connection.closed.then(() => {
      if (this.#connection !== connection) return;
      this.#connection = undefined;
      if (!this.#stopping) this.#options.onDeath();
    });
    return connection;
  }

  async #start(): Promise<UapiConnection> {
    const { name, command, log } = this.#options;
    const logFile = deviceLogFile(name);
    const daemon = startDaemon([...command, name], { env: process.env, logFile, pidFile: devicePidFile(name) });
    let how: string | undefined;
    void daemon.ended.then((words) => (how = words));
    for (const end = performance.now() + START_TIMEOUT_MS; how === undefined && performance.now() < end; await sleep(POLL_MS)) {
      const connection = await connect(name).catch(() => undefined);
      if (!connection) continue;
      log.info("started the device", { interface: name, pid: daemon.pid });
      return connection;
    }
    throw new TortieError(`Cannot start the device "${name}": ${how ?? `it did not answer within ${START_TIMEOUT_MS / 1000} s`}`, {
      hint: `Its own words are in ${logFile}.`,
    });
  }

  /** Ends the device. Its link, a persistent TUN, stays. */
  async stop(): Promise<void> {
    this.#stopping = true;
    // A device that was adopted without a pid file ends, as wireguard-go does, when its socket is removed.
    await rm(socketPath(this.name), { force: true });
    await stopDaemon(devicePidFile(this.name));
    this.#connection?.close();
    this.#connection = undefined;
  }

  /** Lets go of the device, which goes on. */
  release(): void {
    this.#stopping = true;
    this.#connection?.close();
    this.#connection = undefined;
  }
}
