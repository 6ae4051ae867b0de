// The UAPI's view of a live device, with the real protocol over plain memory and sockets that only write down what is asked of them.
import { beforeEach, describe, expect, test } from "vitest";
import { fromHex, fromUtf8, toBase64, wipe } from "../base/bytes.ts";
import { parseCidr } from "../base/cidr.ts";
import { parseIp } from "../base/ip.ts";
import { silent } from "../base/log.ts";
import { nobleCrypto } from "../crypto/noble.ts";
import { SysError } from "../sys/ffi.ts";
import { Errno, type PeerState, type UapiPeer } from "../uapi/types.ts";
import { createTables, Device, initTables, tablesSize } from "../wireguard/index.ts";
import { LiveDevice } from "./livedevice.ts";
import type { Sockets } from "./sockets.ts";

const LIMITS = { peers: 4, trieNodes: 64, stagedSlots: 4, stagedBytes: 1500, handshakeCells: 8 };
// RFC 7748 section 6.1: Alice's private key, Bob's public key.
const OWN = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
const PEER = fromHex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")!;
const TAKEN = 99;

type Sent = { readonly port: number; readonly type: number };
class FakeSockets implements Pick<Sockets, "open" | "publish" | "close" | "setMark" | "send"> {
  readonly calls: string[] = [];
  readonly sent: Sent[] = [];
  open(port: number): number {
    if (port === TAKEN) throw new SysError("listen", Errno.EADDRINUSE);
    this.calls.push(`open ${port}`);
    return port || 40_000;
  }
  publish(tuns: readonly number[]): void {
    this.calls.push(`publish ${tuns.join()}`);
  }
  close(): void {
    this.calls.push("close");
  }
  setMark(mark: number): void {
    if (mark === 666) throw new SysError("set the mark", Errno.EPERM);
    this.calls.push(`mark ${mark}`);
  }
  send(to: { readonly port: number }, message: Uint8Array): boolean {
    this.sent.push({ port: to.port, type: message[0]! });
    return true;
  }
}

describe("LiveDevice", () => {
  let live: LiveDevice;
  let sockets: FakeSockets;
  beforeEach(() => {
    const tables = createTables(new ArrayBuffer(tablesSize(LIMITS)), 0, LIMITS);
    initTables(tables);
    sockets = new FakeSockets();
    live = new LiveDevice({
      device: new Device(tables, nobleCrypto),
      sockets: sockets as unknown as Sockets,
      tuns: [7],
      wakeSender: () => {},
      log: silent,
      moment: () => ({ now: 1_000_000, wall: 1_700_000_000_000 }),
      changed: () => {},
      lookAtLink: () => {},
      sending: () => {},
    });
  });
  const addPeer = (): UapiPeer => {
    const peer = live.peer(PEER, false);
    if (typeof peer !== "object") throw new Error("no peer");
    return peer;
  };
  const identify = (): void => void live.setPrivateKey(fromHex(OWN)!);

  test("a peer that another connection removed meanwhile is changed no more, nor is the one that took its place", () => {
    live.setUp(true);
    identify();
    const removed = addPeer();
    void live.replacePeers();
    const other = fromHex("01".repeat(32))!;
    void live.peer(other, false);
    const ip = parseIp("192.0.2.66")!;
    const results = [
      removed.setEndpoint({ ip, port: 6 }),
      removed.setPresharedKey(new Uint8Array(32).fill(7)),
      removed.setPersistentKeepalive(5),
      removed.addAllowedIp(parseCidr("10.66.0.0/16")!),
      removed.replaceAllowedIps(),
      removed.remove(),
    ];
    removed.done();
    expect(results).toEqual(results.map(() => Errno.ENOENT));
    const [peer, ...more] = [...live.state().peers];
    expect(more).toEqual([]);
    expect(peer).toMatchObject({ publicKey: other, endpoint: undefined, persistentKeepalive: 0, presharedKey: new Uint8Array(32) });
    expect([...peer!.allowedIps]).toEqual([]);
  });
  test("up opens the sockets on the configured port before the worker sees a packet, down closes them", () => {
    void live.setListenPort(51820);
    expect(sockets.calls).toEqual([]);
    live.setUp(true);
    live.setUp(true);
    expect(sockets.calls).toEqual(["open 51820", "publish 7"]);
    live.setUp(false);
    expect(sockets.calls.at(-1)).toBe("close");
    expect(live.state().listenPort).toBe(51820);
  });

  test("port 0 gives the port that was found", () => {
    live.setUp(true);
    expect(live.state().listenPort).toBe(40_000);
  });

  test("a taken port is refused and changes nothing", () => {
    void live.setListenPort(51820);
    live.setUp(true);
    expect(live.setListenPort(TAKEN)).toBe(Errno.EADDRINUSE);
    expect(live.state().listenPort).toBe(51820);
    expect(sockets.calls).toEqual(["open 51820", "publish 7"]);
  });

  test("a port that is taken when the link comes up is waited for", () => {
    void live.setListenPort(TAKEN);
    live.setUp(true);
    expect([live.up, live.waitsForPort]).toEqual([false, true]);
    void live.setListenPort(51820);
    live.setUp(true);
    expect([live.up, live.waitsForPort]).toEqual([true, false]);
  });

  test("a mark that the kernel refuses is not shown", () => {
    expect(live.setFwmark(666)).toBe(Errno.EPERM);
    expect(live.state().fwmark).toBe(0);
    expect(live.setFwmark(51820)).toBe(Errno.OK);
    expect(live.state().fwmark).toBe(51820);
  });

  test("keys that come in are copied, and what goes out is a copy", () => {
    const key = live.keyCell;
    key.set(fromHex(OWN)!);
    void live.setPrivateKey(key);
    const psk = new Uint8Array(32).fill(5);
    void addPeer().setPresharedKey(psk);
    wipe(key, psk);
    const first = live.state().privateKey!;
    expect(first.some((b) => b !== 0)).toBe(true);
    first.fill(0);
    expect(live.state().privateKey!.some((b) => b !== 0)).toBe(true);
    expect([...live.state().peers][0]).toBeDefined();
    for (const { presharedKey } of live.state().peers) expect(presharedKey).toEqual(new Uint8Array(32).fill(5));
  });

  test("a preshared key handed out is wiped when the next peer is asked for", () => {
    void addPeer().setPresharedKey(new Uint8Array(32).fill(5));
    const states = live.state().peers[Symbol.iterator]();
    const { presharedKey } = states.next().value as PeerState;
    expect(presharedKey).toEqual(new Uint8Array(32).fill(5));
    states.next();
    expect(presharedKey.every((b) => b === 0)).toBe(true);
  });

  test("the own key is no peer, update_only makes none, and a full table says so", () => {
    identify();
    const own = fromHex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")!;
    expect(live.peer(own, false)).toBeUndefined();
    expect(live.peer(PEER, true)).toBeUndefined();
    for (let i = 0; i < LIMITS.peers; i++) expect(live.peer(new Uint8Array(32).fill(i + 9), false)).toBeTypeOf("object");
    expect(live.peer(PEER, false)).toBe(28);
  });

  test.for([
    { name: "port 0", endpoint: { ip: "192.0.2.1", port: 0 } },
    { name: "the zero address", endpoint: { ip: "0.0.0.0", port: 1 } },
    { name: "a zone that does not exist", endpoint: { ip: "fe80::1", port: 1, zone: "nosuchlink0" } },
  ])("an endpoint of $name is refused", ({ endpoint }) => {
    const peer = addPeer();
    expect(peer.setEndpoint({ ...endpoint, ip: parseIp(endpoint.ip)! })).toBe(Errno.EINVAL);
    expect(Array.from(live.state().peers, (p) => p.endpoint)).toEqual([undefined]);
  });

  test("what was set is shown", () => {
    const peer = addPeer();
    void peer.setEndpoint({ ip: parseIp("fe80::1")!, port: 9, zone: "lo" });
    void peer.setPersistentKeepalive(25);
    void peer.addAllowedIp(parseCidr("10.0.0.0/8")!);
    void peer.addAllowedIp(parseCidr("fd00::/8")!);
    void peer.removeAllowedIp(parseCidr("10.0.0.0/8")!);
    peer.done();
    const [shown] = Array.from(live.state().peers, (p) => ({ ...p, allowedIps: [...p.allowedIps] }));
    expect(shown).toMatchObject({
      publicKey: PEER,
      endpoint: { ip: parseIp("fe80::1"), port: 9, zone: "lo" },
      persistentKeepalive: 25,
      lastHandshakeSec: 0,
      lastHandshakeNsec: 0,
    });
    expect(shown!.allowedIps).toEqual([parseCidr("fd00::/8")]);
    void live.replacePeers();
    expect([...live.state().peers]).toEqual([]);
  });

  test("handshake() sends an initiation to the named peers; an unknown one is refused before anything is sent", () => {
    identify();
    void addPeer().setEndpoint({ ip: parseIp("192.0.2.1")!, port: 9 });
    live.setUp(true);
    expect(live.handshake([PEER, new Uint8Array(32)])).toBe(Errno.ENOENT);
    expect(sockets.sent).toEqual([]);
    expect(live.handshake([])).toBe(Errno.OK);
    expect(live.handshake([PEER])).toBe(Errno.OK);
    expect(sockets.sent).toEqual([
      { port: 9, type: 1 },
      { port: 9, type: 1 },
    ]);
  });

  test("keylog() gives the static keys at once, and a record before the handshake message is sent", () => {
    identify();
    void addPeer().setEndpoint({ ip: parseIp("192.0.2.1")!, port: 9 });
    live.setUp(true);
    const heard: string[] = [];
    const sentBefore: number[] = [];
    const stop = live.keylog({
      write: (lines) => {
        heard.push(fromUtf8(lines));
        sentBefore.push(sockets.sent.length);
      },
    });
    expect(live.state().keylog).toEqual({ readers: 1, records: 0 });
    void live.handshake([]);
    const own = `LOCAL_STATIC_PRIVATE_KEY = ${toBase64(live.state().privateKey!)}\nREMOTE_STATIC_PUBLIC_KEY = ${toBase64(PEER)}\n`;
    expect(heard[0]).toBe(own);
    expect(heard[1]!.startsWith(`${own}LOCAL_EPHEMERAL_PRIVATE_KEY = `)).toBe(true);
    expect(sentBefore).toEqual([0, 0]);
    expect(live.state().keylog).toEqual({ readers: 1, records: 1 });
    stop();
    expect(live.state().keylog).toBeUndefined();
    void live.handshake([]);
    expect(heard.length).toBe(2);
    expect(sockets.sent.length).toBe(2);
  });

  test("endKeylogs() ends them all, and tells them", () => {
    identify();
    const told: string[] = [];
    for (const name of ["a", "b"]) live.keylog({ write: () => {}, ended: () => told.push(name) });
    live.endKeylogs();
    live.endKeylogs();
    expect(told).toEqual(["a", "b"]);
    expect(live.state().keylog).toBeUndefined();
  });
});
