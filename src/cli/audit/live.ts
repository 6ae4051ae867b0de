// A live audit: watches machines, captures their wires, sends canaries, and keeps all of it as files and a document, which are then audited as any saved
// capture is. So a live audit can be kept and judged again (--save).
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf, TortieError } from "../../base/errors.ts";
import type { InventoryDocument } from "../../capture/audit/inventory.ts";
import { holds } from "../../capture/audit/marker.ts";
import type { LinkObservation } from "../../capture/audit/observed.ts";
import { makeScratch } from "../../lab/scratch.ts";
import { readEvents } from "../captures/file.ts";
import { sendBypass } from "./bypass.ts";
import { CANARY_FILTER, type Member, sendCanaries } from "./canary.ts";
import type { Watcher } from "./observe.ts";
import type { Input } from "./run.ts";
import { type Capture, captureWires, type Tapping } from "./wires.ts";

export type LiveOptions = {
  /** Seconds. */
  readonly duration: number;
  /** A directory to keep captures and inventory in. */
  readonly save?: string | undefined;
  readonly say: (text: string) => void;
};
export type LiveSubject = {
  readonly name: string;
  readonly document: InventoryDocument;
  readonly watchers: readonly Watcher[];
  readonly marker: Buffer;
  readonly nodeMarker: Buffer;
  readonly members: readonly Member[];
  /** Links by which pods send: the marker must be seen there. */
  readonly senders: readonly { readonly node: string; readonly link: string; readonly what: string }[];
  /** Asks for new sessions, changing nothing else. */
  readonly handshakes: () => Promise<void>;
  /** Paths that there are none of, or that no canary is sent over: in words. */
  readonly notProbed: readonly string[];
};
/** What was recorded; `forget` removes the files, where they were not to be kept. */
export type Recorded = {
  readonly subject: string;
  readonly inputs: readonly Input[];
  readonly document: InventoryDocument;
  readonly forget: () => void;
};

/** For what the kernel has counted and not yet handed to the captures. */
const SETTLE_MS = 250;
const TICK_MS = 5_000;

export async function live(subject: LiveSubject, options: LiveOptions): Promise<Recorded> {
  const scratch = makeScratch("audit");
  // Programs that enter a node are in another directory.
  const directory = options.save === undefined ? scratch : resolve(options.save);
  const forget = (): void => rmSync(scratch, { recursive: true, force: true });
  try {
    if (options.save !== undefined) makeDirectory(options.save);
    const links = await Promise.all(subject.watchers.map((w) => w.begin()));
    const wires = subject.watchers
      .map((w, i) => ({ place: w.place, links: namesOf(links[i]!, (l) => l.role === "wire") }))
      .filter((t) => t.links.length > 0);
    const controls = controlsOf(subject, links);
    options.say(`Capturing on ${wires.flatMap((w) => w.links.map((l) => `${w.place.node}/${l}`)).join(", ")} …`);
    const bypassed: Awaited<ReturnType<typeof sendBypass>> = { bypass: { packets: [], wires: [] }, remarks: [] };
    let sent: Awaited<ReturnType<typeof sendCanaries>> = { paths: [], remarks: [] };
    const captures = await captureWires(directory, [...wires, ...controls.map((c) => c.tapping)], async () => {
      const until = Date.now() + options.duration * 1000;
      await Promise.all(subject.watchers.map((w) => w.captured()));
      Object.assign(bypassed, await sendBypass(subject.document, wires));
      await subject.handshakes();
      sent = await sendCanaries(subject.members);
      while (Date.now() < until) {
        await sleep(Math.max(0, Math.min(TICK_MS, until - Date.now())));
        // What is translated may be over before the end.
        if (Date.now() < until) await Promise.all(subject.watchers.map((w) => w.look()));
      }
      await sleep(SETTLE_MS);
      await Promise.all(subject.watchers.map((w) => w.end()));
      await sleep(SETTLE_MS);
    });
    const ended = Date.now() / 1000;
    const document: InventoryDocument = {
      ...subject.document,
      observed: subject.watchers.map((w) => w.observation(ended)),
      canary: {
        marker: subject.marker.toString("hex"),
        nodeMarker: subject.nodeMarker.toString("hex"),
        paths: sent.paths,
        controls: await seen(captures, controls, [subject.marker, subject.nodeMarker]),
        remarks: [...sent.remarks, ...bypassed.remarks],
        bypass: bypassed.bypass,
        notProbed: [...subject.notProbed],
      },
    };
    if (options.save !== undefined)
      writeFileSync(join(options.save, "inventory.json"), `${JSON.stringify(document, undefined, 1)}\n`, { mode: 0o600 });
    const inputs = captures
      .filter((c) => c.filter === undefined)
      .map((c) => ({ name: c.place.node, node: c.place.node, path: c.path, ...(c.broken === undefined ? {} : { broken: c.broken }) }));
    return { subject: subject.name, inputs, document, forget };
  } catch (e) {
    forget();
    throw e;
  }
}

function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (e) {
    throw new TortieError(`Cannot keep the audit in "${path}": ${messageOf(e)}`, { cause: e });
  }
}

const namesOf = (links: readonly LinkObservation[], which: (l: LinkObservation) => boolean): string[] => links.filter(which).map((l) => l.name);

type Control = { readonly tapping: Tapping; readonly links: readonly { readonly link: string; readonly what: string; readonly needed: boolean }[] };

/** Where the marker must be readable: the links by which pods send, and the tunnel devices. */
function controlsOf(subject: LiveSubject, links: readonly (readonly LinkObservation[])[]): Control[] {
  return subject.watchers.flatMap((w, i) => {
    const { node } = w.place;
    const devices = namesOf(links[i]!, (l) => l.why === "a WireGuard device").map((link) => ({
      link,
      what: `${link} of ${node}`,
      needed: subject.document.encryption !== false,
    }));
    const senders = subject.senders.filter((s) => s.node === node).map(({ link, what }) => ({ link, what, needed: true }));
    const all = [...senders, ...devices];
    return all.length === 0 ? [] : [{ tapping: { place: w.place, links: all.map((x) => x.link), filter: CANARY_FILTER }, links: all }];
  });
}

/** How many packets of each inner link hold a marker. */
async function seen(
  captures: readonly Capture[],
  controls: readonly Control[],
  markers: readonly Buffer[],
): Promise<{ what: string; seen: number; needed: boolean }[]> {
  const found: { what: string; seen: number; needed: boolean }[] = [];
  for (const { tapping, links } of controls) {
    const capture = captures.find((c) => c.filter !== undefined && c.place.node === tapping.place.node)!;
    const counts = new Map<string, number>();
    for await (const run of readEvents(capture.path, { progress: false }))
      for (const e of run)
        if (e.kind === "packet" && markers.some((m) => holds(e.packet.data, m)))
          counts.set(e.packet.iface.name ?? "", (counts.get(e.packet.iface.name ?? "") ?? 0) + 1);
    found.push(...links.map(({ link, what, needed }) => ({ what, needed, seen: counts.get(link) ?? 0 })));
  }
  return found;
}
