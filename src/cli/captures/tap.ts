// Where the packets of a live capture come from: taps (an interface of this machine, or of a node) in feeds, each of which is read on its own.
import { hostname, networkInterfaces, release } from "node:os";
import { parseIp } from "../../base/ip.ts";
import type { NewInterface } from "../../capture/writer.ts";
import { capturableInterface } from "../../sys/interfaces.ts";
import { type LivePacket, openPacketSocket, type PacketSocketOptions, type SocketStatistics } from "../../sys/packetsocket.ts";

/** One capture point; `description` is "machine/interface". */
export type Tap = Required<Pick<NewInterface, "link" | "snaplen" | "name">> &
  NewInterface & {
    /** Since the start. */
    statistics(): SocketStatistics;
  };
/** A packet of a tap; `comments` as they are to stand in a file. */
export type Tapped = { readonly tap: Tap; readonly packet: LivePacket; readonly comments?: readonly string[] };

export interface Feed {
  readonly name: string;
  /** Something about it that a person should know. */
  readonly remark?: string | undefined;
  /** Why nothing comes of it at the moment, though it is not over. */
  readonly away?: string | undefined;
  readonly taps: readonly Tap[];
  /** Batches as they come, until close() or the end. To be iterated once. Throws TortieError when it breaks off. */
  batches(): AsyncIterable<readonly Tapped[]>;
  /** Ends batches() after what has arrived by now was handed over. */
  close(): Promise<void>;
}

/** An interface of this machine as a feed. Throws TortieError. */
export async function openInterface(options: PacketSocketOptions & { snapLength: number }): Promise<Feed> {
  const { interface: name, filter, snapLength } = options;
  const socket = await openPacketSocket(options);
  const mac = name === "any" ? undefined : capturableInterface(name).mac;
  const tap: Tap = {
    link: socket.linkType,
    snaplen: snapLength,
    name,
    description: `${hostname()}/${name}`,
    os: `Linux ${release()}`,
    ips: (networkInterfaces()[name] ?? []).map((a) => ({ ip: parseIp(a.address)!, prefix: Number(a.cidr?.split("/")[1]) })),
    ...(filter ? { filter } : {}),
    ...(mac ? { mac } : {}),
    statistics: () => socket.statistics(),
  };
  return {
    name,
    taps: [tap],
    async *batches() {
      for await (const batch of socket.packets()) yield batch.map((packet) => ({ tap, packet }));
    },
    close: () => socket.close(),
  };
}
