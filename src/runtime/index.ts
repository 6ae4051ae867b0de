// A live device inside a program (docs/library.md): the same as `tortie device`, started and stopped by code. Linux, root (CAP_NET_ADMIN), /dev/net/tun.
import { silent, type Log } from "../base/log.ts";
import { connect, type UapiConnection } from "../uapi/client.ts";
import { runDevice } from "./run.ts";

export type DeviceOptions = {
  /** Of the link, 1 to 15 bytes: a persistent TUN of that name is used and left, else one is made. */
  readonly name: string;
  /** @default nothing is said */
  readonly log?: Log | undefined;
  /** Take over the running device of this name, which is another process's, with its link, sockets and sessions. @default false */
  readonly takeOver?: boolean | undefined;
  /** A file that gets the session keys (Wireshark's key log): whoever reads it reads the traffic. */
  readonly keylogFile?: string | undefined;
};

export interface RunningDevice {
  readonly name: string;
  /** The device's own control connection (tortie/uapi): get() is its state, set() configures it, as wg(8) would from outside. */
  readonly control: UapiConnection;
  /** Resolves when it has ended: by stop(), because its link was deleted, or its control socket removed. Rejects with TortieError when it broke. */
  readonly ended: Promise<void>;
  /** Removes the link (if it was made here) and the control socket, and wipes the keys. Resolves when that is done. */
  stop(): Promise<void>;
}

/**
 * Starts a device; resolves when its control socket listens. It has no key, no peer and no address yet, and its link is down. Throws TortieError when it
 * cannot start. From then on this process makes no core dumps and cannot be traced except by root, because it holds keys.
 */
export async function startDevice(options: DeviceOptions): Promise<RunningDevice> {
  const { name, log = silent, keylogFile, takeOver } = options;
  let end!: (why: string) => void;
  const stop = new Promise<string>((resolve) => (end = resolve));
  let ready!: () => void;
  const started = new Promise<void>((resolve) => (ready = resolve));
  const keylog = keylogFile === undefined ? undefined : { path: keylogFile };
  const ended = runDevice({ name, log, keylog, takeOver, ready, stop });
  ended.catch(() => {}); // whoever waits for it hears of it
  await Promise.race([started, ended]);
  try {
    const control = await connect(name);
    return {
      name,
      control,
      ended,
      stop: () => {
        control.close();
        end("the program stops it");
        return ended;
      },
    };
  } catch (thrown) {
    end("its control socket cannot be reached");
    await ended;
    throw thrown;
  }
}
