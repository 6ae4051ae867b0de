// A device from its start to its end: the parts in start order, undone in reverse.
import { closeSync } from "node:fs";
import { release } from "node:os";
import { messageOf, TortieError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { opensslCrypto } from "../crypto/openssl.ts";
import { bootClock } from "../sys/bootclock.ts";
import { closeEventfd, openEventfd, wake } from "../sys/eventfd.ts";
import { addressesOf, release as releaseMemory, share } from "../sys/memory.ts";
import { forbidDumps, keepFromDumps, lockMemory, overwriteFreed } from "../sys/protect.ts";
import { Routes } from "../sys/routes.ts";
import { Slab } from "../sys/slab.ts";
import { describeTun, offloadTun, openTun, queueInUse } from "../sys/tun.ts";
import { serveUapi } from "../uapi/server.ts";
import { createTables, Device, initTables, keypairBytes, type Moment, Secrets, secretsSize } from "../wireguard/index.ts";
import { DataWorkers } from "./dataworkers.ts";
import { type KeylogFileOptions, logToFile } from "./keylogfile.ts";
import { belongings, Predecessor } from "./handover.ts";
import { JunkFilter } from "./junkfilter.ts";
import { Link } from "./link.ts";
import { LiveDevice } from "./livedevice.ts";
import { Mail, mailbox } from "./mailbox.ts";
import { ALL_OFFLOADS, corruptOffloads, offloadNames, OFFLOADS } from "./offloads.ts";
import { plan } from "./plan.ts";
import { watchRoutes } from "./routewatch.ts";
import { Sockets } from "./sockets.ts";
import { Spread } from "./spread.ts";
import { succession } from "./succession.ts";
import { type Pace, Ticker } from "./ticker.ts";
import { Undo } from "./undo.ts";

const SOCKET_DIRECTORY = "/var/run/wireguard";
const DEFAULT_MTU = 1420;
/** Packets that wait in a link of our making: the kernel's 500 overflow at the first burst. */
const QUEUE = 1000;

export type RunOptions = {
  readonly name: string;
  readonly log: Log;
  /** Data workers, each with a queue of the TUN and sockets of its own. @default 1 */
  readonly threads?: number | undefined;
  /** Bits of OFFLOADS that are used where the kernel has them. @default all */
  readonly offloads?: number | undefined;
  /** An attached TUN, instead of making one. */
  readonly tunFd?: number | undefined;
  /** A listening UAPI socket, instead of making one. */
  readonly uapiFd?: number | undefined;
  /** Take over the running device of this name, with its link, sockets and sessions, instead of making one. @default false */
  readonly takeOver?: boolean | undefined;
  /** File that gets the keys of handshakes, from before the first packet on. */
  readonly keylog?: KeylogFileOptions | undefined;
  /** Called once, when the control socket listens. */
  readonly ready: () => void;
  /** Ends the device; the value says why. */
  readonly stop: Promise<string>;
};

/** Runs a device until it is stopped, its socket removed or its link deleted. Throws TortieError when it cannot start or breaks. */
export async function runDevice(options: RunOptions): Promise<void> {
  const undo = new Undo();
  try {
    options.log.info("device stops", { why: await live(options, undo) });
  } finally {
    await undo.all();
  }
}

/** Starts, lives, and says why it ended. */
async function live(options: RunOptions, undo: Undo): Promise<string> {
  const { log } = options;
  const corrupt = (options.offloads ?? ALL_OFFLOADS) & corruptOffloads(release());
  const offloads = (options.offloads ?? ALL_OFFLOADS) & ~corrupt;
  if (corrupt !== 0) log.warn("this kernel corrupts what it offloads: it goes on without", { offloads: offloadNames(corrupt) });
  if (!forbidDumps()) log.warn("core dumps of this process could not be switched off");
  const path = `${SOCKET_DIRECTORY}/${options.name}.sock`;
  const predecessor = options.takeOver ? new Predecessor(path) : undefined;
  undo.push(() => predecessor?.close());
  const tun = predecessor?.tun() ?? (options.tunFd === undefined ? openTun(options.name, options.threads) : describeTun(options.tunFd));
  undo.push(() => tun.fds.forEach((fd) => closeSync(fd)));
  const threads = tun.fds.length;
  if (threads < (options.threads ?? 1)) log.warn("fewer data threads than asked for: the link has no more queues", { threads });
  const wanted = offloads & OFFLOADS["tun-tso"];
  // A link that was taken over stays as it is: its first owner reads it still.
  const segmentation =
    predecessor?.hello.segmentation ?? offloadTun(tun.fds[0]!, { tcp: wanted !== 0, udp: wanted !== 0 && (offloads & OFFLOADS["tun-uso"]) !== 0 });

  const where = plan(threads);
  const memory = share(where.bytes);
  undo.push(() => releaseMemory(memory));
  const slab = new Slab(memory, where.control, where.bytes);
  const mappings = addressesOf(memory);
  if (!mappings.every((at) => keepFromDumps(at, where.bytes))) log.warn("the memory of keys and packets could not be kept from dumps");
  undo.push(() => slab.u8.fill(0, where.workers, where.bytes)); // packets that were under way
  const tables = createTables(memory.buffer, where.tables, where.limits);
  initTables(tables);
  // Rows are used from the first on: the beginnings are those of the first peers.
  const keys = [{ at: where.secrets, bytes: secretsSize(where.limits) }, keypairBytes(tables)];
  const locked = lockMemory(keys.flatMap(({ at, bytes }) => mappings.map((mapping) => ({ address: mapping + at, bytes }))));
  if (locked < 1)
    log.warn("not all memory of keys could be locked: the rest may be swapped out", {
      peers: Math.floor(locked * where.limits.peers),
      of: where.limits.peers,
    });

  const clockAt = slab.take(16);
  const clock = bootClock(slab.i32.subarray(clockAt >>> 2, (clockAt >>> 2) + 4), slab.base + clockAt);
  const moment = (): Moment => ({ now: clock.now(), wall: clock.wall() });
  const crypto = opensslCrypto();
  const device = new Device(tables, crypto, new Secrets(where.limits, memory.buffer, where.secrets));
  undo.push(() => device.close());

  // What the workers watch; they start on the other cores while the rest is made here.
  const mails = tun.fds.map((_, i) => mailbox(memory.buffer, i));
  for (const mail of mails) {
    const wakeFd = openEventfd();
    undo.push(() => closeEventfd(wakeFd));
    for (const word of [Mail.TUN, Mail.UDP4, Mail.UDP6, Mail.LINK]) mail[word] = -1;
    mail[Mail.WAKE] = wakeFd;
    Atomics.store(mail, Mail.DESCRIPTORS, 1);
  }
  const link = new Link(tun.fds[0]!, mails);
  undo.push(() => link.close());
  const made = !tun.persistent && options.tunFd === undefined && !predecessor;
  if (made) link.prepare(DEFAULT_MTU, QUEUE);
  const workers = new DataWorkers(memory, where, mails, segmentation.udp ? offloads : offloads & ~OFFLOADS["tun-uso"], () => ticker.now());
  undo.push(() => workers.stop());

  const sockets = new Sockets(slab, mails, { gro: (offloads & OFFLOADS["udp-gro"]) !== 0 });
  const wakeSender = (): void => wake(mails[0]![Mail.WAKE]!);
  const junk = new JunkFilter(device, sockets, log);
  const sending = (): void => junk.prepare();
  const liveDevice = new LiveDevice({ device, sockets, tuns: tun.fds, wakeSender, log, moment, changed: () => ticker.soon(), lookAtLink, sending });
  let finish: (why: string) => void;
  let fail: (error: unknown) => void;
  const ended = new Promise<string>((resolve, reject) => {
    finish = resolve;
    fail = (cause) => reject(new TortieError(`Cannot go on: the control thread broke: ${messageOf(cause)}`, { cause }));
  });
  ended.catch(() => {}); // it is awaited only after the start

  function lookAtLink(): void {
    const state = link.state();
    if (state === "deleted") return finish("its link was deleted");
    liveDevice.setMtu(state.mtu);
    liveDevice.setUp(state.up);
  }
  let spread: Spread | undefined;
  let rounds = 0;
  let faults = 0;
  /** Words of all mailboxes, put together. */
  const gather = (word: number, take: (mail: Int32Array) => number = (mail) => Atomics.load(mail, word)): number =>
    mails.reduce((all, mail) => all | take(mail), 0);
  /** One turn of the control thread. */
  function turn(): Pace {
    for (const mail of mails) Atomics.store(mail, Mail.TOLD, 0);
    const changed = (gather(Mail.LINK_CHANGED, (mail) => Atomics.exchange(mail, Mail.LINK_CHANGED, 0)) | gather(Mail.TUN_GONE)) !== 0;
    if (changed || liveDevice.waitsForPort || link.away) lookAtLink();
    const found = gather(Mail.FAULTS);
    if (found !== faults) log.warn("the kernel does not do an offload: it goes on without", { offloads: offloadNames(found) });
    faults = found;
    junk.look(clock.now());
    liveDevice.perform(device.receive(moment()));
    liveDevice.perform(device.tick(moment()));
    spread?.look();
    const loaded = device.loaded(moment());
    if (device.backlog && !loaded) ticker.now();
    if (!liveDevice.up) return liveDevice.waitsForPort || link.away ? "quiet" : "none";
    const before = rounds;
    rounds = mails.reduce((sum, mail) => sum + Atomics.load(mail, Mail.ROUNDS), 0);
    if (loaded) return "loaded";
    return rounds === before ? "quiet" : "busy";
  }
  const ticker = new Ticker(turn, (error) => fail(error));

  undo.push(() => ticker.stop());
  // Who finds the control socket may bring the link up at once: from then on packets must not be missed.
  const packets = await workers.ready;
  const parking = (offloads & OFFLOADS.parking) !== 0;
  if (threads > 1) spread = new Spread({ mails, tuns: tun.fds, sockets, log, parking, clock });
  if (parking && !predecessor) spread?.give(false);
  let given = false;
  undo.push(() => (given ? sockets.abandon() : sockets.close()));
  const routes = new Routes();
  const watching = new AbortController();
  const watched = watchRoutes(routes, () => liveDevice.routesChanged(routes), watching.signal);
  watched.catch((error: unknown) => fail(error));
  undo.push(async () => {
    watching.abort();
    await watched;
    routes.close();
  });
  if (options.keylog) undo.push(logToFile(options.keylog, liveDevice, log));
  let fd = options.uapiFd;
  // From here to goOn() nobody reads the link and the sockets: what comes waits in their queues.
  const asked = clock.now();
  predecessor?.take(asked, (state, fds) => {
    fd = fds[0]!;
    device.restore(state.device, moment());
    liveDevice.adopt(belongings(state, fds));
    spread?.give(!parking || tun.fds.slice(1).some(queueInUse));
  });
  if (predecessor) {
    liveDevice.goOn();
    log.info("took over", { ms: Math.round(clock.now() - asked) });
  }
  const host = succession({
    device,
    liveDevice,
    mails,
    tun,
    segmentation,
    moment,
    log,
    resting: () => junk.off(),
    listening: () => server.fd,
    given: () => {
      given = true;
      ticker.stop();
      void server.close({ keep: true });
      finish("its successor has taken over");
    },
  });
  // Not before: what is made at the start would be touched as well.
  overwriteFreed();
  const server = await serveUapi(predecessor ? path : `${SOCKET_DIRECTORY}/${tun.name}.sock`, liveDevice, { fd, host });
  undo.push(() => server.close({ keep: given }));
  lookAtLink();
  ticker.soon();
  log.info("device", { link: tun.name, attached: !made, crypto: crypto.name, packets, threads, segmentation });
  options.ready();
  const why = await Promise.race([ended, server.gone.then(() => "its socket was removed"), options.stop, workers.broken]);
  const drops = {
    ...device.drops(),
    tun_refused: mails.reduce((sum, mail) => sum + mail[Mail.TUN_REFUSED]!, 0),
    socket_dropped: sockets.dropped(),
  };
  log.debug("packets dropped, by reason", Object.fromEntries(Object.entries(drops).filter(([, n]) => n > 0)));
  log.debug("in use", device.usage());
  return why;
}
