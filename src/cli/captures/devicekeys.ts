// The keys of a running device while a capture lasts: its key log as a stream, and a fresh handshake on request, so that the file holds one.
import { fromUtf8, toBase64, wipe } from "../../base/bytes.ts";
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
    hint: "Name one: --device IF, or tortie keylog -i IF.",
  });
}

/** Peers that are named to who asked for another. */
const MAX_NAMED = 10;

/** Throws TortieError when the device has not all of these peers, with those that it has. */
export async function requirePeers(device: string, wanted: readonly Uint8Array[]): Promise<void> {
  if (wanted.length === 0) return;
  const connection = await connect(device);
  try {
    const { privateKey, peers } = await connection.get();
    wipe(privateKey, ...peers.map((p) => p.presharedKey));
    const known = peers.map((p) => toBase64(p.publicKey));
    const absent = wanted.map(toBase64).find((key) => !known.includes(key));
    if (absent === undefined) return;
    const more = known.length > MAX_NAMED ? `\n  and ${known.length - MAX_NAMED} more: tortie wg show ${device} peers` : "";
    throw new TortieError(`Cannot take the keys of the sessions with ${absent}: ${device} has no such peer`, {
      hint:
        known.length === 0
          ? `It has none at all. Is this the right device (--device)?`
          : `--peer takes the public key of one of these:\n${known
              .slice(0, MAX_NAMED)
              .map((key) => `  ${key}`)
              .join("\n")}${more}`,
    });
  } finally {
    connection.close();
  }
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
