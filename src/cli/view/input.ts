// Where the bytes of a viewed capture come from: a file (which may grow), a pipe, or interfaces.
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { release } from "node:os";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { messageOf, TortieError } from "../../base/errors.ts";
import { PcapngWriter } from "../../capture/writer.ts";
import { concat } from "../../base/bytes.ts";
import { containerOf, unpacked } from "../captures/container.ts";
import { flow } from "../captures/flow.ts";
import { splitter, writable } from "../captures/messages.ts";
import { sourceOf } from "../captures/source.ts";
import type { Feed } from "../captures/tap.ts";
import type { ViewedCapture } from "./viewed.ts";
import { ByteStore } from "./store.ts";

/** Of which a piece is worked on at a time: between two of them keys are answered. */
const PIECE = 128 << 10;
const LOOK_FOR_MORE_MS = 250;
const PATIENCE_MS = 300;

export interface Input {
  readonly name: string;
  /** One pass: what comes is not known beforehand. */
  readonly live: boolean;
  readonly store: ByteStore;
  /** Brings all bytes to the document. Ends when there will be no more, or `stop` is aborted. Throws TortieError. */
  run(document: ViewedCapture, stop: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** A file that can be read at any place, as it is; packed ones and pipes through a temporary file. Throws TortieError. */
export async function openInput(path: string): Promise<Input> {
  const source = await sourceOf(path, { once: true });
  const isFile = path !== "-" && (await stat(path)).isFile();
  if (!isFile) return pipeInput(path === "-" ? "standard input" : path, unpacked(source.chunks()));
  return (await isPacked(path)) ? packedInput(path, source) : fileInput(path);
}

async function isPacked(path: string): Promise<boolean> {
  const stream = createReadStream(path, { end: 3 });
  const parts: Uint8Array[] = [];
  for await (const part of stream as AsyncIterable<Uint8Array>) parts.push(part);
  return containerOf(concat(...parts)) !== undefined;
}

function fileInput(path: string): Input {
  const store = ByteStore.open(path);
  return {
    name: path,
    live: false,
    store,
    async run(document, stop) {
      const total = store.size;
      await pieces(store, 0, total, stop, (bytes, done) => {
        document.learn(bytes);
        document.progress = { what: "reading", done: done / 2, total };
      });
      document.learned();
      await pieces(store, 0, total, stop, (bytes, done) => {
        document.open(bytes);
        document.progress = { what: "opening", done: total / 2 + done / 2, total };
      });
      document.opened();
      document.progress = undefined;
      for (let at = total; !stop.aborted;) {
        await sleep(LOOK_FOR_MORE_MS, undefined, { signal: stop }).catch(() => {});
        const { size } = store;
        await pieces(store, at, size, stop, (bytes) => document.open(bytes));
        at = Math.max(at, size);
      }
    },
    close: async () => store.close(),
  };
}

async function pieces(store: ByteStore, from: number, to: number, stop: AbortSignal, take: (bytes: Uint8Array, done: number) => void): Promise<void> {
  for (let at = from; at < to && !stop.aborted;) {
    const bytes = store.read(at, Math.min(PIECE, to - at)).slice();
    if (bytes.length === 0) return;
    at += bytes.length;
    take(bytes, at);
    await setImmediate();
  }
}

function packedInput(path: string, source: { readonly size: number | undefined; chunks(): AsyncGenerator<Uint8Array> }): Input {
  const store = ByteStore.temporary();
  return {
    name: path,
    live: false,
    store,
    async run(document, stop) {
      let packed = 0;
      const counted = async function* (): AsyncGenerator<Uint8Array> {
        for await (const chunk of source.chunks()) {
          packed += chunk.length;
          yield chunk;
        }
      };
      let why: string | undefined;
      try {
        for await (const bytes of unpacked(counted())) {
          if (stop.aborted) return;
          store.append(bytes);
          document.learn(bytes);
          document.progress = { what: "unpacking", done: packed / 2, total: source.size };
          await setImmediate();
        }
      } catch (e) {
        if (e instanceof TortieError) throw e;
        why = messageOf(e);
      }
      document.learned(why);
      const total = store.size;
      await pieces(store, 0, total, stop, (bytes, done) => {
        document.open(bytes);
        document.progress = { what: "opening", done: total / 2 + done / 2, total };
      });
      document.opened();
      document.progress = undefined;
    },
    close: async () => store.close(),
  };
}

/** What comes through a pipe is shown as it comes: whoever writes it may go on for long. */
function pipeInput(name: string, chunks: AsyncGenerator<Uint8Array>): Input {
  const store = ByteStore.temporary();
  return {
    name,
    live: true,
    store,
    async run(document, stop) {
      const meter = new Meter(document);
      const timer = setInterval(() => meter.tick(), METER_MS);
      let before = 0;
      try {
        for await (const bytes of chunks) {
          if (stop.aborted) break;
          store.append(bytes);
          document.open(bytes);
          meter.count(document.length - before, bytes.length);
          before = document.length;
          await setImmediate();
        }
      } finally {
        clearInterval(timer);
        document.rates = undefined;
      }
      document.opened();
    },
    close: async () => store.close(),
  };
}

/** Live from interfaces; packets wait for those of others, so that they are in order of time. */
export function liveInput(feeds: readonly Feed[], filter: string): Input {
  const store = ByteStore.temporary();
  const taps = feeds.flatMap((f) => f.taps);
  return {
    name: `${feeds.map((f) => f.name).join(", ")}${filter ? ` "${filter}"` : ""}`,
    live: true,
    store,
    async run(document, stop) {
      let gathered: Uint8Array[] = [];
      const writer = new PcapngWriter((bytes) => gathered.push(bytes), { os: `Linux ${release()}` });
      const sources = new Map(taps.map((tap) => [tap, { id: writer.addInterface(tap), split: splitter(tap.link, tap.snaplen, undefined) }]));
      const flush = (): void => {
        const bytes = concat(...gathered);
        gathered = [];
        store.append(bytes);
        document.open(bytes);
      };
      const meter = new Meter(document);
      const tick = (): void => {
        meter.tick();
        document.dropped = taps.reduce((n, t) => n + t.statistics().dropped, 0);
      };
      flush();
      tick();
      const timer = setInterval(tick, METER_MS);
      stop.addEventListener("abort", () => feeds.forEach((f) => void f.close()), { once: true });
      try {
        await flow(feeds, {
          patience: PATIENCE_MS,
          time: (t) => t.packet.timeNs,
          out: (batch) => {
            for (const { tap, packet } of batch) {
              const { id, split } = sources.get(tap)!;
              meter.count(1, packet.originalLength);
              for (const message of split(packet)) writer.packet(id, writable(message));
            }
            flush();
          },
          broken: () => {},
        });
      } finally {
        clearInterval(timer);
        tick();
      }
    },
    close: async () => {
      await Promise.all(feeds.map((f) => f.close()));
      store.close();
    },
  };
}

const METER_MS = 250;
/** Rates are those of about the last second. */
const METER_SPAN_MS = 1000;

class Meter {
  readonly #document: ViewedCapture;
  #samples: { readonly time: number; readonly packets: number; readonly bytes: number }[] = [];
  #packets = 0;
  #bytes = 0;

  constructor(document: ViewedCapture) {
    this.#document = document;
    this.tick();
  }
  count(packets: number, bytes: number): void {
    this.#packets += packets;
    this.#bytes += bytes;
  }
  tick(): void {
    const time = performance.now();
    this.#samples.push({ time, packets: this.#packets, bytes: this.#bytes });
    while (this.#samples.length > 2 && time - this.#samples[1]!.time >= METER_SPAN_MS) this.#samples.shift();
    const first = this.#samples[0]!;
    const seconds = Math.max(0.001, (time - first.time) / 1000);
    this.#document.rates = { packets: (this.#packets - first.packets) / seconds, bytes: (this.#bytes - first.bytes) / seconds };
  }
}
