// How a running device gives all it has to its successor, and how exactly one of the two goes on, whatever happens to the other. Over one connection to the
// running device's control socket; both are the same user. Step by step, with what it means when the other end is gone, or silent for a second:
//
// | running device | successor | if it ends here |
// |---|---|---|
// | | "tortie_takeover=1" | nothing has happened |
// | HELLO: versions, TUN | makes everything ready: memory, threads | nothing has happened |
// | | "tortie_takeover=now" | nothing has happened |
// | rests its data threads; STATE: all it knows, UDP and control sockets | | the running device goes on |
// | | fills its tables; READY | the running device goes on |
// | YOURS: from here on it uses nothing any more | | the running device goes on if the connection was closed before TAKEN |
// | | TAKEN, and only then: packets | the successor is the device |
//
// Both block while they do this: nothing else may happen on their control threads, and packets wait in the kernel's queues meanwhile.
import { readlinkSync } from "node:fs";
import { bool, f64, type Form, list, record, text, u32 } from "../base/binary.ts";
import { messageOf, TortieError } from "../base/errors.ts";
import { closeFd } from "../sys/descriptor.ts";
import { SysError } from "../sys/ffi.ts";
import { describeTun, type Tun, type TunOffloads } from "../sys/tun.ts";
import { connectUnix, type Received, UnixChannel } from "../sys/unixchannel.ts";
import type { LiveDevice } from "./livedevice.ts";
import { decode, deviceForm, type DeviceSnapshot, encode, SNAPSHOT_VERSION, wipeSnapshot } from "../wireguard/snapshot.ts";

export const ASK = "tortie_takeover=1\n\n";
export const NOW = "tortie_takeover=now\n\n";

const Kind = { HELLO: 1, REFUSED: 2, STATE: 3, READY: 4, YOURS: 5, TAKEN: 6 } as const;
const NOTHING = new Uint8Array(0);
/** For each step of the other end. The successor waits a little longer, so that it is the running device that decides. */
const STEP_MS = 1000;
const LONGER_MS = 3000;
/** A peer is some 500 bytes, and takes the successor 0.1 ms: ten times that is patience enough. */
const BYTES_A_MS = 500;
/** A successor gets ready in less. */
const CLOCKS_APART_MS = 60_000;

/** What the successor must know before it makes itself ready. Comes with the queues of the TUN. */
export type Hello = {
  readonly version: number;
  /** Network namespace of its sockets. */
  readonly network: string;
  /** Its clock (CLOCK_BOOTTIME, ms): the moments in the state are good in the same time namespace only. */
  readonly now: number;
  /** What the TUN leaves to its owner. */
  readonly segmentation: TunOffloads;
};
/** Comes with the listening control socket and then, for each entry of `sockets`, its IPv4 and (if `v6`) IPv6 UDP socket. */
export type State = {
  readonly device: DeviceSnapshot;
  readonly up: boolean;
  readonly port: number;
  readonly mark: number;
  readonly sockets: readonly { readonly v6: boolean }[];
};

const helloForm: Form<Hello> = record({ version: u32, network: text, now: f64, segmentation: record({ tcp: bool, udp: bool }) });
const stateForm: Form<State> = record({ device: deviceForm, up: bool, port: u32, mark: u32, sockets: list(record({ v6: bool })) });

export const ownNetwork = (): string => readlinkSync("/proc/self/ns/net");

/** The sockets of a state by their descriptors: the first is the control socket. */
export function belongings({ port, mark, up, sockets }: State, [, ...fds]: readonly number[]): ReturnType<LiveDevice["belongings"]> {
  const wanted = sockets.reduce((n, { v6 }) => n + (v6 ? 2 : 1), 0);
  if (fds.length !== wanted) throw new TortieError(`Cannot take over: ${wanted} sockets were announced, ${fds.length} came`);
  const rest = [...fds];
  return { port, mark, up, sockets: sockets.map(({ v6 }) => ({ v4: rest.shift()!, v6: v6 ? rest.shift()! : -1, port })) };
}

// --- The running device's side. `fd`: the connection, which nobody else reads or writes meanwhile. ---

/** False when it was refused: another user. */
export function greet(fd: number, hello: Omit<Hello, "version">, tuns: readonly number[]): boolean {
  const channel = new UnixChannel(fd);
  const why = strangerAt(channel);
  if (why) channel.send(Kind.REFUSED, new TextEncoder().encode(why), [], STEP_MS);
  else channel.send(Kind.HELLO, encode(helloForm, { version: SNAPSHOT_VERSION, ...hello }), tuns, STEP_MS);
  return why === undefined;
}

export const refuse = (fd: number, why: string): void => new UnixChannel(fd).send(Kind.REFUSED, new TextEncoder().encode(why), [], STEP_MS);

/**
 * While the data threads rest. Undefined: the successor is the device now, and nothing that was given may be used here any more. Else why not: then it
 * uses nothing, and never will.
 */
export function giveAway(fd: number, state: State, fds: readonly number[]): string | undefined {
  const channel = new UnixChannel(fd);
  const bytes = encode(stateForm, state);
  wipeSnapshot(state.device);
  try {
    channel.send(Kind.STATE, bytes, fds, STEP_MS);
    const answer = channel.receive(STEP_MS + bytes.length / BYTES_A_MS);
    if (answer?.kind !== Kind.READY) return "the successor is gone";
    channel.send(Kind.YOURS, NOTHING, [], STEP_MS);
  } catch (thrown) {
    return messageOf(thrown);
  } finally {
    bytes.fill(0);
  }
  try {
    return channel.receive(STEP_MS) ? undefined : "the successor was gone before it took over";
  } catch (thrown) {
    // It was told, it is there, and it may be about to: only one that is gone can be ruled out.
    return thrown instanceof SysError && thrown.code === "ETIMEDOUT" ? undefined : messageOf(thrown);
  }
}

// --- The successor's side ---

export class Predecessor {
  readonly hello: Hello;
  readonly tuns: readonly number[];
  readonly #fd: number;
  readonly #channel: UnixChannel;

  /** Asks the device behind the control socket at `path`. Throws TortieError; then that device goes on. */
  constructor(path: string) {
    this.#fd = connect(path);
    this.#channel = new UnixChannel(this.#fd);
    let tuns: readonly number[] = [];
    try {
      const why = strangerAt(this.#channel);
      if (why) throw new TortieError(`Cannot take over: ${why}`);
      this.#say(ASK);
      const answer = this.#expect(Kind.HELLO);
      tuns = answer.fds;
      this.hello = readHello(answer.bytes);
      if (this.hello.network !== ownNetwork())
        throw new TortieError("Cannot take over: the running device is in another network namespace", { hint: "Start its successor there." });
    } catch (thrown) {
      for (const fd of tuns) closeFd(fd);
      this.close();
      throw thrown;
    }
    this.tuns = tuns;
  }

  /** The queues of the TUN, which are the caller's to close from now on. It stays as its first owner set it up: that one still reads it. */
  tun(): Tun {
    return { ...describeTun(this.tuns[0]!), fds: this.tuns };
  }

  /**
   * Has the device given to us, and `fill` take it in, descriptors and all: which uses none of it yet. `now`: CLOCK_BOOTTIME. When this returns, we are the device. Throws TortieError: then the
   * running device goes on, and nothing of it may be used.
   */
  take(now: number, fill: (state: State, fds: readonly number[]) => void): void {
    if (Math.abs(this.hello.now - now) > CLOCKS_APART_MS) throw new TortieError("Cannot take over: the running device's clock is not ours");
    this.#say(NOW);
    const { bytes, fds } = this.#expect(Kind.STATE);
    let state: State | undefined;
    let unused = fds;
    try {
      state = decode(stateForm, bytes);
      fill(state, fds);
      unused = fds.slice(0, 1);
      this.#channel.send(Kind.READY, NOTHING, [], LONGER_MS);
      this.#expect(Kind.YOURS);
    } catch (thrown) {
      for (const fd of unused) closeFd(fd);
      throw thrown;
    } finally {
      bytes.fill(0);
      if (state) wipeSnapshot(state.device);
    }
    try {
      this.#channel.send(Kind.TAKEN, NOTHING, [], LONGER_MS);
    } catch {
      // It is gone already: it gave its word before.
    }
  }

  /** Ends the conversation: before take() the running device goes on. */
  close(): void {
    closeFd(this.#fd);
  }

  #say(request: string): void {
    try {
      this.#channel.write(new TextEncoder().encode(request), LONGER_MS);
    } catch (cause) {
      throw new TortieError(`Cannot take over: the running device is gone: ${messageOf(cause)}`, {
        hint: "Another successor may have been faster: then there is nothing left to do.",
        cause,
      });
    }
  }

  #expect(kind: number): Received {
    let answer: Received | undefined;
    try {
      answer = this.#channel.receive(LONGER_MS);
    } catch (cause) {
      throw new TortieError(`Cannot take over: the running device does not answer: ${messageOf(cause)}`, { cause });
    }
    if (answer?.kind === kind) return answer;
    for (const fd of answer?.fds ?? []) closeFd(fd);
    if (answer?.kind === Kind.REFUSED) throw new TortieError(`Cannot take over: ${new TextDecoder().decode(answer.bytes)}`);
    throw new TortieError(
      answer || kind !== Kind.HELLO ? "Cannot take over: the running device broke it off" : "Cannot take over: the running device cannot hand over",
      answer ? {} : { hint: "It is an older version or another program: it has to be stopped and started." },
    );
  }
}

function connect(path: string): number {
  try {
    return connectUnix(path);
  } catch (cause) {
    const hint =
      cause instanceof SysError && cause.code === "EACCES"
        ? "Run it as the running device's user."
        : "No device of this name runs here: start one without --take-over.";
    throw new TortieError(`Cannot take over: ${messageOf(cause)}`, { hint, cause });
  }
}

function readHello(bytes: Uint8Array): Hello {
  // The version is the first field of all versions.
  const version = bytes.length >= 4 ? new DataView(bytes.buffer).getUint32(0, true) : 0;
  if (version !== SNAPSHOT_VERSION)
    throw new TortieError(
      `Cannot take over: the running device hands over version ${version} of its state, and this program reads ${SNAPSHOT_VERSION}`,
      {
        hint: "It has to be stopped and started.",
      },
    );
  return decode(helloForm, bytes);
}

/** Keys go to nobody but the user who has them already: why the one at the other end gets none, or undefined. */
export function strangerAt(channel: UnixChannel): string | undefined {
  const { uid } = channel.peer();
  const own = process.geteuid!();
  return uid === own ? undefined : `the other end is user ${uid}, this one is ${own}`;
}
