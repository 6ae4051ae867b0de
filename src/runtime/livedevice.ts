// A live device on its control thread: the protocol's control half, its sockets, its link, and what the UAPI asks of it. Effects are carried out here.
import { writeSync } from "node:fs";
import { toBase64, wipe } from "../base/bytes.ts";
import { messageOf } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { SysError } from "../sys/ffi.ts";
import type { Routes } from "../sys/routes.ts";
import { VNET_HEADER } from "../sys/tun.ts";
import { Errno, type DeviceState, type KeylogListener, type Outcome, type PeerState, type UapiDevice, type UapiPeer } from "../uapi/types.ts";
import type { Device, Effect, Moment, Peer } from "../wireguard/index.ts";
import { Keylog, sessionLines } from "./keylog.ts";
import { ENOSPC, LivePeer, peerState } from "./livepeer.ts";
import type { Group, Sockets } from "./sockets.ts";

const errnoOf = (thrown: unknown): number => (thrown instanceof SysError ? thrown.errno : Errno.EIO);
/** First characters of a public key: enough to tell peers apart in a log. */
const short = (key: Uint8Array): string => toBase64(key).slice(0, 8);

export type LiveParts = {
  readonly device: Device;
  readonly sockets: Sockets;
  /** Queues of the TUN, one a worker. */
  readonly tuns: readonly number[];
  /** Wakes the data worker that sends what is staged. */
  readonly wakeSender: () => void;
  readonly log: Log;
  /** The moment it is. */
  readonly moment: () => Moment;
  /** Something was changed: look at the timers. */
  readonly changed: () => void;
  /** Look at the link now: who asks for a handshake has perhaps just brought it up. */
  readonly lookAtLink: () => void;
  /** Handshake messages are about to leave. */
  readonly sending: () => void;
};

export class LiveDevice implements UapiDevice {
  readonly #parts: LiveParts;
  readonly #keylog = new Keylog();
  #port = 0;
  #mark = 0;
  #up = false;
  #complained = false;

  constructor(parts: LiveParts) {
    this.#parts = parts;
  }

  /** Carries out what the protocol answered, in its order. */
  perform(effects: readonly Effect[]): void {
    const { sockets, wakeSender, sending, log } = this.#parts;
    sending();
    for (const effect of effects) {
      switch (effect.kind) {
        case "send":
          if (!sockets.send(effect.to, effect.message)) log.debug("a handshake message could not be sent");
          break;
        case "wake":
          wakeSender();
          break;
        case "unreachable":
          this.#tellHost(effect.packet);
          break;
        case "keylog":
          this.#keylog.record(effect.record);
          break;
        case "established":
          log.debug("session established", { peer: short(effect.peer), initiator: effect.initiator });
          break;
        case "gave-up":
          log.info("no answer to 20 handshake initiations", { peer: short(effect.peer) });
          break;
      }
    }
  }

  #tellHost(packet: Uint8Array): void {
    const { tuns, log } = this.#parts;
    const bytes = new Uint8Array(VNET_HEADER + packet.length);
    bytes.set(packet, VNET_HEADER);
    try {
      writeSync(tuns[0]!, bytes);
    } catch (thrown) {
      log.debug("the host could not be told of a packet that went nowhere", { why: messageOf(thrown) });
    }
  }

  #do(effects: readonly Effect[]): number {
    this.perform(effects);
    this.#parts.changed();
    return Errno.OK;
  }

  get up(): boolean {
    return this.#up;
  }
  /** The link is up, and the port could not be had. */
  get waitsForPort(): boolean {
    return this.#complained;
  }

  /** The link is up or down. Up without a socket (the port is taken) is tried again by calling this again. */
  setUp(up: boolean): void {
    if (up === this.#up) return;
    if (up) this.#bringUp();
    else this.#takeDown();
  }

  /** What a successor needs beside the protocol's state. */
  belongings(): { readonly port: number; readonly mark: number; readonly up: boolean; readonly sockets: Group } {
    return { port: this.#port, mark: this.#mark, up: this.#up, sockets: this.#parts.sockets.group };
  }
  /** Is from now on what another device was; nothing happens before goOn(). */
  adopt({ port, mark, up, sockets }: ReturnType<LiveDevice["belongings"]>): void {
    this.#setPort(port);
    this.#mark = mark;
    this.#up = up;
    this.#parts.sockets.adopt(sockets, mark);
  }
  /** The adopted device's packets flow. */
  goOn(): void {
    const { sockets, tuns, wakeSender } = this.#parts;
    sockets.publish(this.#up ? tuns : []);
    wakeSender();
    // Whoever listens already heard nothing of these keys.
    if (this.#keylog.wanted) this.#writeStatic();
    this.#parts.changed();
  }

  #bringUp(): void {
    const { device, sockets, tuns, log, moment } = this.#parts;
    try {
      this.#setPort(sockets.open(this.#port));
    } catch (thrown) {
      if (!this.#complained) log.error("Cannot open the UDP sockets", { port: this.#port, why: messageOf(thrown) });
      this.#complained = true;
      return;
    }
    this.#complained = false;
    this.#up = true;
    log.debug("interface up", { port: this.#port });
    // The worker sees no packet before the protocol is up: the first one of a fresh link must not be dropped.
    const effects = device.up(moment());
    sockets.publish(tuns);
    this.#do(effects);
  }

  #setPort(port: number): void {
    this.#port = port;
    this.#parts.device.setPort(port);
  }

  #takeDown(): void {
    const { device, sockets, log, moment } = this.#parts;
    this.#up = false;
    log.debug("interface down");
    sockets.close();
    this.#do(device.down(moment()));
  }

  setMtu(mtu: number): void {
    this.#parts.device.setMtu(mtu);
  }

  /** The routes changed: who would now leave by another interface than packets came in, or not at all, gets its address from the kernel again. */
  routesChanged(routes: Pick<Routes, "interfaceTo">): void {
    this.#parts.device.clearSources(({ ip, scope, source }) => !scope && routes.interfaceTo(ip, source!.ip, this.#mark) !== source!.interface);
  }

  // --- UapiDevice ---

  get keyCell(): Uint8Array {
    return this.#parts.device.keyCell;
  }

  state(): DeviceState {
    const { readers, records } = this.#keylog;
    const state = { privateKey: this.#parts.device.privateKey(), listenPort: this.#port, fwmark: this.#mark, peers: this.#peerStates() };
    return readers > 0 ? { ...state, keylog: { readers, records } } : state;
  }

  // Each state is good until the next one is asked for.
  *#peerStates(): Generator<PeerState> {
    for (const peer of this.#parts.device.peers()) {
      const state = peerState(peer);
      try {
        yield state;
      } finally {
        wipe(state.presharedKey);
      }
    }
  }

  setPrivateKey(key: Uint8Array): Outcome {
    const { device, moment } = this.#parts;
    const result = this.#do(device.setPrivateKey(key, moment()));
    if (this.#keylog.wanted) this.#writeStatic();
    return result;
  }

  setListenPort(port: number): Outcome {
    const { sockets, device, tuns } = this.#parts;
    if (port === this.#port && port !== 0) return Errno.OK;
    try {
      this.#setPort(this.#up ? sockets.open(port) : port);
      if (this.#up) sockets.publish(tuns);
    } catch (thrown) {
      return errnoOf(thrown);
    }
    device.clearSources();
    return Errno.OK;
  }

  setFwmark(mark: number): Outcome {
    try {
      this.#parts.sockets.setMark(mark);
    } catch (thrown) {
      return errnoOf(thrown);
    }
    this.#mark = mark;
    this.#parts.device.clearSources();
    return Errno.OK;
  }

  replacePeers(): Outcome {
    const { device, moment } = this.#parts;
    const all = Array.from(device.peers());
    for (const peer of all) this.perform(device.removePeer(peer, moment()));
    return Errno.OK;
  }

  peer(publicKey: Uint8Array, updateOnly: boolean): UapiPeer | undefined | number {
    const { device } = this.#parts;
    const known = device.peer(publicKey);
    if (known) return new LivePeer(this.#parts, known, false, (e) => this.#do(e));
    if (updateOnly) return undefined;
    const made = device.addPeer(publicKey);
    if (made === "full") return ENOSPC;
    if (made) this.#keylog.statics(undefined, [made.publicKey]);
    return made && new LivePeer(this.#parts, made, true, (e) => this.#do(e));
  }

  handshake(publicKeys: readonly Uint8Array[]): Outcome {
    const { device, moment, lookAtLink } = this.#parts;
    lookAtLink();
    const named = publicKeys.map((key) => device.peer(key));
    if (named.includes(undefined)) return Errno.ENOENT;
    const peers = named.length > 0 ? (named as Peer[]) : [...device.peers()];
    for (const peer of peers) this.#do(device.forceHandshake(peer, moment()));
    return Errno.OK;
  }

  keylog(listener: KeylogListener): () => void {
    const { device, log } = this.#parts;
    const remove = this.#keylog.add(listener);
    device.keylog = true;
    const peers = listener.peers?.length ?? 0;
    log.warn("KEY LOG ON: keys are being handed out; whoever has them reads this device's traffic", {
      event: "keylog-on",
      readers: this.#keylog.readers,
      ...(peers > 0 ? { peers } : {}),
      ...(listener.existing ? { existing: true } : {}),
    });
    this.#writeStatic();
    if (listener.existing) this.#writeSessions(listener);
    return () => {
      if (remove()) this.#keylogEnded();
    };
  }
  endKeylogs(): void {
    if (!this.#keylog.wanted) return;
    this.#keylog.end();
    this.#keylogEnded();
  }

  #keylogEnded(): void {
    const { device, log } = this.#parts;
    const { readers, records, wanted } = this.#keylog;
    device.keylog = wanted;
    log.warn(wanted ? "a key log ended, others go on" : "KEY LOG OFF", { event: "keylog-off", readers, handshakes: records });
  }

  /** To all who listen: static keys told twice do no harm. */
  #writeStatic(): void {
    const { device } = this.#parts;
    const key = device.privateKey();
    this.#keylog.statics(
      key,
      Array.from(device.peers(), (p) => p.publicKey),
    );
    wipe(key);
  }

  /** The keys of the sessions that exist; their handshakes are over. */
  #writeSessions(listener: KeylogListener): void {
    const { device } = this.#parts;
    const { peers = [] } = listener;
    const wanted = peers.length === 0 ? [...device.peers()] : peers.flatMap((key) => device.peer(key) ?? []);
    for (const peer of wanted) {
      const sessions = device.sessionKeys(peer);
      if (sessions.length > 0)
        listener.write(
          sessionLines(
            sessions.flatMap((s) => [
              { receiver: s.remote, key: s.send },
              { receiver: s.local, key: s.receive },
            ]),
          ),
        );
      for (const s of sessions) wipe(s.send, s.receive);
    }
  }
}
