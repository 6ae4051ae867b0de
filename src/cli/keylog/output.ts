// Where key lines go, and what is said about it: aloud, at the beginning and at the end, on standard error.
import { writeSync } from "node:fs";
import { wipe } from "../../base/bytes.ts";
import { type KeylogFile, openKeylogFile } from "../../runtime/keylogfile.ts";

export interface KeyOutput {
  readonly where: string;
  /** Makes the file: what cannot be begun leaves none. Throws TortieError when others can read it. */
  open(): void;
  /** Whole lines; wiped after. */
  write(lines: Uint8Array): void;
  close(): void;
}

/** What both kinds of key log are told. */
export type KeepOptions = {
  readonly interface: string | undefined;
  /** undefined: until it is ended. */
  readonly seconds: number | undefined;
  /** Public keys (base64) of the peers whose handshakes are wanted; empty: all. */
  readonly peers: ReadonlySet<string>;
  readonly existing: boolean;
  readonly output: KeyOutput;
  /** To be called when it is on: says so aloud, and starts the time. */
  begin(whose: string): void;
  /** Ends it. */
  readonly signal: AbortSignal;
};

/** "-" is standard output. */
export function keyOutput(path: string): KeyOutput {
  let file: Pick<KeylogFile, "write" | "close"> | undefined;
  return {
    where: path === "-" ? "standard output" : `"${path}"`,
    open: () => {
      file = path === "-" ? { write: (lines) => void writeSync(1, lines), close: () => {} } : openKeylogFile(path);
    },
    write: (lines) => {
      file?.write(lines);
      wipe(lines);
    },
    close: () => file?.close(),
  };
}

const say = (text: string): void => void process.stderr.write(`${text}\n`);

/** The banner. */
export function sayOn(whose: string, { output, seconds, peers }: Pick<KeepOptions, "output" | "seconds" | "peers">): void {
  const limit = seconds === undefined ? "until it is ended (Ctrl-C)" : `for ${seconds} s`;
  const only = peers.size === 0 ? "" : `, handshakes with ${peers.size} ${peers.size === 1 ? "peer" : "peers"} only`;
  say(`KEY LOG ON: the keys of ${whose} go to ${output.where}, ${limit}${only}. Whoever has them reads the traffic.`);
}
export function sayOff(handshakes: number, sessions: number, { output }: KeepOptions): void {
  const also = sessions === 0 ? "" : ` and of ${sessions} sessions that existed`;
  say(`Key log off: the keys of ${handshakes} ${handshakes === 1 ? "handshake" : "handshakes"}${also} are in ${output.where}.`);
}
