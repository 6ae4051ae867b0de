// The keys of our own device, through its control socket: each record comes as its handshake is made. The device keeps the time and the list of peers.
import { fromBase64, wipe } from "../../base/bytes.ts";
import { TortieError } from "../../base/errors.ts";
import { connect } from "../../uapi/client.ts";
import { onlyDevice } from "../captures/devicekeys.ts";
import { type KeepOptions, sayOff } from "./output.ts";

export async function keep(options: KeepOptions): Promise<number> {
  const device = options.interface ?? (await onlyDevice());
  const connection = await connect(device);
  let [handshakes, sessionKeys] = [0, 0];
  const peers = Array.from(options.peers, (key) => fromBase64(key)!);
  try {
    options.begin(device);
    for await (const chunk of connection.keylog(options.signal, { peers, seconds: options.seconds, existing: options.existing })) {
      handshakes += count(chunk, "LOCAL_EPHEMERAL_PRIVATE_KEY");
      sessionKeys += count(chunk, "WGX_SESSION_KEY");
      options.output.write(chunk);
    }
  } finally {
    connection.close();
  }
  sayOff(handshakes, sessionKeys / 2, options);
  if (options.signal.aborted || options.seconds !== undefined) return 0;
  throw new TortieError(`The key log of ${device} was ended from outside: by --off, or the device is gone`);
}

/** How often a word stands in it. The bytes become no string: they hold keys. */
function count(bytes: Uint8Array, word: string): number {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let n = 0;
  for (let at = buffer.indexOf(word); at >= 0; at = buffer.indexOf(word, at + 1)) n++;
  return n;
}

export async function endKeylogs(name: string | undefined): Promise<number> {
  const device = name ?? (await onlyDevice());
  const connection = await connect(device);
  try {
    const state = await connection.get();
    wipe(state.privateKey, ...state.peers.map((p) => p.presharedKey));
    const readers = state.keylog?.readers ?? 0;
    await connection.endKeylogs();
    process.stderr.write(
      readers === 0
        ? `${device} gives its keys to nobody.\n`
        : `Key log of ${device} off: it had ${readers} ${readers === 1 ? "reader" : "readers"}.\n`,
    );
    return 0;
  } finally {
    connection.close();
  }
}
