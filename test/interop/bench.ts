// Our device and a peer, joined by a wire that counts handshake messages. Made once for many tests: fresh() sets both ends up anew.
import { newKey, newPsk, publicOf } from "../device/tunnel.ts";
import { makeData, type Machine, pings, serveDigests } from "./machine.ts";
import { IF, type Kind, type Peer, Userspace } from "./peers.ts";

export type Family = 4 | 6;
export type Setup = {
  /** Of the outer packets. */
  readonly outer: Family;
  readonly psk: boolean;
  /** Of the tunnel. @default 1420 */
  readonly mtu?: number;
  /** Of the wire. @default `mtu` + 80, so that a full packet just fits */
  readonly wireMtu?: number;
};
/** One end. */
export type Side = {
  readonly peer: Peer;
  readonly machine: Machine;
  readonly n: 1 | 2;
  readonly key: string;
  readonly publicKey: string;
  /** Digest of its /run/data. */
  readonly digest: string;
};
export type Which = "ours" | "theirs";
/** How many of each message went over the wire since the last look, as seen from our end. */
export type Handshakes = { readonly sent: readonly [number, number, number]; readonly received: readonly [number, number, number] };

export const PORT = 51820;
/** Inner address of an end. */
export const inner = (side: Side, family: Family): string => (family === 4 ? `10.77.0.${side.n}` : `fd77::${side.n}`);
/** Outer address: `host` is the last number. */
export const outer = (host: number, family: Family): string => (family === 4 ? `192.0.2.${host}` : `2001:db8::${host}`);
export const endpoint = (host: number, family: Family, port: number = PORT): string =>
  family === 4 ? `${outer(host, 4)}:${port}` : `[${outer(host, 6)}]:${port}`;

/** Message types 1 to 3 by direction. */
const COUNTERS = `table inet wire {
${[1, 2, 3].flatMap((t) => [`counter sent${t} {}`, `counter received${t} {}`]).join("\n")}
chain received { type filter hook input priority 0
${[1, 2, 3].map((t) => `iifname "eth0" meta l4proto udp @th,64,32 ${t << 24} counter name received${t}`).join("\n")}
}
chain sent { type filter hook output priority 0
${[1, 2, 3].map((t) => `oifname "eth0" meta l4proto udp @th,64,32 ${t << 24} counter name sent${t}`).join("\n")}
}
}`;

export class Bench {
  readonly ours: Side;
  readonly theirs: Side;
  readonly #psk = newPsk();
  #setup: Setup = { outer: 4, psk: false };
  private constructor(ours: Side, theirs: Side) {
    this.ours = ours;
    this.theirs = theirs;
  }

  static async open(kind: Kind, env: NodeJS.ProcessEnv = {}): Promise<Bench> {
    const opened = await Promise.allSettled([Userspace.open("tortie", env), kind.open()]);
    const peers = opened.flatMap((o): Peer[] => (o.status === "fulfilled" ? [o.value] : []));
    try {
      for (const o of opened) if (o.status === "rejected") throw o.reason;
      const [us, them] = peers as [Userspace, Peer];
      await them.attach(us.machine);
      us.machine.feed(COUNTERS, "nft", "-f", "-");
      const side = async (peer: Peer, n: 1 | 2): Promise<Side> => {
        const key = newKey();
        await peer.start();
        await serveDigests(peer.machine);
        return { peer, machine: peer.machine, n, key, publicKey: publicOf(key), digest: await makeData(peer.machine, kind.bytes) };
      };
      const [ours, theirs] = await Promise.all([side(us, 1), side(them, 2)]);
      const bench = new Bench(ours, theirs);
      await bench.fresh({ outer: 6, psk: false });
      // A new wire hears no neighbour solicitation for up to a second.
      await ours.machine.sh(`until ping -6 -c 1 -W 0.3 ${outer(2, 6)}; do :; done`);
      return bench;
    } catch (e) {
      await Promise.all(peers.map((p) => p.close()));
      throw e;
    }
  }
  close(): Promise<unknown> {
    return Promise.all([this.ours.peer.close(), this.theirs.peer.close()]);
  }

  side(which: Which): Side {
    return this[which];
  }
  other(side: Side): Side {
    return side === this.ours ? this.theirs : this.ours;
  }
  /** Sets both ends up as if they had never met: no session, first addresses, first ports. */
  async fresh(setup: Setup): Promise<void> {
    this.#setup = setup;
    await Promise.all([this.configure(this.ours), this.configure(this.theirs)]);
    await this.handshakes();
  }
  /** Sets up one end, for example after its restart. */
  async configure(side: Side): Promise<void> {
    const { outer: family, psk, mtu = 1420, wireMtu = mtu + 80 } = this.#setup;
    const { n } = side;
    const other = this.other(side);
    await side.machine.sh(`set -e
ip -batch - <<.
addr flush dev eth0 scope global
link set eth0 mtu ${wireMtu} up
addr add ${outer(n, 4)}/24 dev eth0
addr add ${outer(n, 6)}/64 dev eth0 nodad
addr replace ${inner(side, 4)}/24 dev ${IF}
addr replace ${inner(side, 6)}/64 dev ${IF} nodad
link set ${IF} mtu ${mtu} up
.
wg setconf ${IF} /dev/stdin <<.
[Interface]
PrivateKey = ${side.key}
ListenPort = ${PORT}
[Peer]
PublicKey = ${other.publicKey}
${psk ? `PresharedKey = ${this.#psk}` : ""}
Endpoint = ${endpoint(other.n, family)}
AllowedIPs = ${inner(other, 4)}/32, ${inner(other, 6)}/128
.
# A device hears a little later that its link is up.
until grep -qi ':${PORT.toString(16)} ' /proc/net/udp; do sleep 0.01; done`);
  }
  /** Kills both ends and starts them again, without configuration. */
  async startAgain(): Promise<void> {
    for (const { peer } of [this.ours, this.theirs]) await peer.stop();
    await Promise.all([this.ours, this.theirs].map(({ peer }) => peer.start()));
  }
  /** Kills an end and starts it again, with the same configuration. */
  async restart(side: Side): Promise<void> {
    await side.peer.stop();
    await side.peer.start();
    await this.configure(side);
  }

  /** Pings of `from` to the other end: all answered. */
  async ping(from: Side, family: Family, count = 1, words = ""): Promise<void> {
    await pings(from.machine, inner(this.other(from), family), count, words);
  }
  async show(side: Side, field: string): Promise<string[]> {
    const text = await side.machine.sh(`wg show ${IF} ${field}`);
    return text.trim().split("\t").slice(1);
  }
  /** Since the last call. */
  async handshakes(): Promise<Handshakes> {
    const text = await this.ours.machine.sh("nft reset counters");
    const count = (name: string): number => Number(new RegExp(`counter ${name} \\{\\s+packets ([0-9]+)`).exec(text)![1]);
    return { sent: [count("sent1"), count("sent2"), count("sent3")], received: [count("received1"), count("received2"), count("received3")] };
  }
}
