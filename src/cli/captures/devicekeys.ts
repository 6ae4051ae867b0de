// The keys of a running device while a capture lasts: its key log as a stream, and a fresh handshake on request, so that the file holds one.
import { fromUtf8 } from "../../base/bytes.ts";
import { messageOf, TortieError } from "../../base/errors.ts";
import { connect, listInterfaces, type UapiConnection } from "../../uapi/client.ts";
import type { KeylogRequest } from "../../uapi/types.ts";

export interface DeviceKeys {
  readonly device: string;
  /** Asks the device for fresh handshakes with the peers concerned. */
  handshake(): Promise<void>;
  close(): void;
}

/** The only device of this machine, or an error that names what there is. */
export async function onlyDevice(): Promise<string> {
  const found = await listInterfaces();
  if (found.length === 1) return found[0]!;
  if (found.length === 0) {
    throw new TortieError("Cannot take keys: no WireGuard device with a control socket runs here", {
      hint: "Run this where the device runs: `tortie lab shell NODE`, then the same command. A kernel device gives no keys.",
    });
  }
  throw new TortieError(`Cannot take keys: there are several devices, ${found.join(", ")}`, {
    hint: "Name one: --device IF, of tortie keylog -i IF.",
  });
}

/**
 * Opens the key log of a device, for all its peers or those named. `onText` gets whole lines, records of a handshake in one piece; it is called with the static keys before this resolves.
 * Throws TortieError.
 */
export async function openDeviceKeys(
  device: string,
  { peers, existing }: KeylogRequest,
  onText: (text: string) => void,
  onEnd: (why: string) => void,
): Promise<DeviceKeys> {
  const stream = await connect(device);
  let control: UapiConnection;
  try {
    control = await connect(device);
  } catch (e) {
    stream.close();
    throw e;
  }
  const stop = new AbortController();
  let begun: () => void = () => {};
  const first = new Promise<void>((resolve) => (begun = resolve));
  let held = "";
  const read = async (): Promise<void> => {
    for await (const chunk of stream.keylog(stop.signal, { peers, existing })) {
      held += fromUtf8(chunk);
      const end = held.lastIndexOf("\n") + 1;
      if (end === 0) continue;
      onText(held.slice(0, end));
      held = held.slice(end);
      begun();
    }
  };
  void read()
    .catch((e: unknown) => onEnd(messageOf(e)))
    .then(() => {
      begun();
      if (!stop.signal.aborted) onEnd("the device closed its key log");
    });
  // A device without peers and key has no static keys to tell: do not wait for ever.
  await Promise.race([first, new Promise((resolve) => setTimeout(resolve, 500))]);
  return {
    device,
    handshake: () => control.handshake(peers),
    close: () => {
      stop.abort();
      control.close();
    },
  };
}
