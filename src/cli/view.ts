// `tortie view FILE`: a capture on the whole terminal, from a file of any size, a pipe, or live from an interface.
import { openSync } from "node:fs";
import { stat } from "node:fs/promises";
import { ReadStream } from "node:tty";
import { TortieError } from "../base/errors.ts";
import { displayFilter } from "../capture/display/index.ts";
import type { DocumentOptions } from "../capture/document.ts";
import type { Inventory } from "../capture/audit/inventory.ts";
import { batchOpener } from "../crypto/batchopener.ts";
import { nodeCrypto } from "../crypto/node.ts";
import { inventoryOfCluster, readInventory } from "./audit/inventory.ts";
import { readKeys } from "./captures/keys.ts";
import { type Feed, openInterface } from "./captures/tap.ts";
import { labelsOf } from "./inspect/labels.ts";
import { onAction, program, runProgram } from "./program.ts";
import { run } from "./view/app.ts";
import { followKeys } from "./view/growingkeys.ts";
import { ViewedCapture } from "./view/viewed.ts";
import { type Input, liveInput, openInput } from "./view/input.ts";
import { Terminal } from "./view/terminal.ts";

type Options = {
  interface: string[];
  keys?: string;
  Y?: string;
  inventory?: string;
  cluster?: boolean;
  salvage?: boolean;
  follow?: boolean;
  color: boolean;
};

const MAX_SNAP = 262_144;
const several = (text: string, before: string[] = []): string[] => [...before, text];

export async function main(args: string[]): Promise<number> {
  const command = program(
    "tortie view",
    "a capture on the whole terminal: packets, fields, bytes, sessions, conversations, streams, timeline, doctor, audit",
    [
      "tortie view capture.pcapng                      a file of any size; ? shows the keys",
      "tortie view capture.pcap --keys wg.keys         inner packets where keys open them",
      "tortie view capture.pcapng -Y 'wg.type == 1'    begin with a display filter",
      "tortie view --follow /tmp/wire.pcapng           a file that another program is writing",
      "tortie view -i ens5 udp port 51820              live, with a capture filter",
      "ssh node tcpdump -w - -U | tortie view -        from a pipe, as it comes",
    ],
  )
    .argument("[words...]", 'a pcap or pcapng file, also packed, or "-" for standard input; with -i: a capture filter')
    .option("-i, --interface <name>", "capture live on this interface; may be repeated", several, [])
    .option("--keys <file>", "key log, which may grow, or private keys; the file's own key blocks are used in any case")
    .option("-Y <filter>", "begin with this display filter")
    .option("--follow", "begin at the end, and show what comes")
    .option("--inventory <file>", "names of nodes, and which addresses are pods' (theirs are red outside of the tunnel), as for tortie audit")
    .option("--cluster", "the same from the API")
    .option("--salvage", "after damage go on at the next block or record that is whole")
    .option("--no-color", "no colour; so does NO_COLOR in the environment");
  onAction(command, (words: string[], options: Options) => view(words, options));
  return runProgram(command, args);
}

async function view(words: readonly string[], options: Options): Promise<number> {
  const live = options.interface.length > 0;
  const [path] = words;
  if (!live && (path === undefined || words.length > 1))
    throw new TortieError(path === undefined ? "Cannot view nothing: name a capture file" : `Cannot view ${words.length} files at once`, {
      hint: "tortie view FILE, or tortie view -i INTERFACE [FILTER]. tortie view --help explains it.",
    });
  if (path === "-" && options.keys === "-") throw new TortieError("Cannot read both the capture and the keys from standard input");
  if (options.Y !== undefined) displayFilter(options.Y);
  const terminal = openTerminal(options.color);
  const size = options.keys === undefined ? undefined : await sizeOf(options.keys);
  const log = options.keys === undefined ? undefined : await readKeys(options.keys);
  const inventory = options.cluster
    ? await inventoryOfCluster()
    : options.inventory === undefined
      ? undefined
      : await readInventory(options.inventory);
  const input = live ? liveInput(await openFeeds(options.interface, words.join(" ")), words.join(" ")) : await openInput(path!);
  const opener = batchOpener();
  const ended = new AbortController();
  const document = documentOf(input);
  // What came between the look at its size and the reading is read twice, which does no harm.
  const keys = size === undefined ? undefined : followKeys(options.keys!, size, (more) => document.addKeys(more), ended.signal);
  try {
    return await run(terminal, input, document, { follow: live || path === "-" || options.follow === true, filter: options.Y });
  } finally {
    ended.abort();
    await keys;
    opener.wipe();
  }

  function documentOf({ name, live: isLive, store }: Input): ViewedCapture {
    const documentOptions = {
      read: store.read,
      crypto: nodeCrypto,
      opener,
      live: isLive,
      salvage: options.salvage ?? false,
      ...(log ? { logs: [log] } : {}),
      ...(inventory ? knownFrom(inventory) : {}),
    };
    return new ViewedCapture(name, documentOptions, inventory);
  }
}

const knownFrom = (inventory: Inventory): Pick<DocumentOptions, "prepare" | "isPod" | "labels" | "vxlanPorts" | "genevePorts"> => ({
  prepare: (secrets) => {
    for (const node of inventory.nodes) for (const key of node.publicKeys) secrets.addPublic(key, { name: node.name });
  },
  labels: labelsOf(inventory),
  isPod: (ip) => inventory.owner(ip).kind === "pod",
  vxlanPorts: inventory.vxlanPorts,
  genevePorts: inventory.genevePorts,
});

/** Bytes of a file; undefined for what is none. */
const sizeOf = async (path: string): Promise<number | undefined> => {
  const found = path === "-" ? undefined : await stat(path).catch(() => undefined);
  return found?.isFile() ? found.size : undefined;
};

/** The interfaces asked for. When one cannot be opened, none stays open. Throws TortieError. */
async function openFeeds(names: readonly string[], filter: string): Promise<Feed[]> {
  const feeds: Feed[] = [];
  try {
    for (const name of new Set(names)) feeds.push(await openInterface({ interface: name, filter, snapLength: MAX_SNAP }));
  } catch (e) {
    await Promise.all(feeds.map((f) => f.close()));
    throw e;
  }
  return feeds;
}

/** Throws TortieError where there is none that could show a screen. */
function openTerminal(wantsColor: boolean): Terminal {
  const { env } = process;
  const hint = "tortie inspect prints a capture line by line.";
  if (!process.stdout.isTTY) throw new TortieError("Cannot view: standard output is not a terminal", { hint });
  if (env.TERM === "dumb" || env.TERM === undefined || env.TERM === "")
    throw new TortieError(`Cannot view: this terminal (TERM=${env.TERM ?? ""}) cannot move its cursor`, { hint });
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG || "";
  return new Terminal(keyboard(), process.stdout, {
    color: wantsColor && !env.NO_COLOR,
    unicode: /utf-?8/i.test(locale),
    manyColors: /256|truecolor|24bit/.test(`${env.TERM} ${env.COLORTERM ?? ""}`),
  });
}

/** Standard input, unless a capture or keys come that way: then the terminal itself. */
function keyboard(): ReadStream {
  if (process.stdin.isTTY) return process.stdin;
  try {
    return new ReadStream(openSync("/dev/tty", "r"));
  } catch (e) {
    throw new TortieError("Cannot view: there is no terminal to read keys from", { hint: "tortie inspect prints a capture line by line.", cause: e });
  }
}
