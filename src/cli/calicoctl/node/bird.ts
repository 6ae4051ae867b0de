// BIRD's answer to "show protocols" on its control socket, read for its BGP peers. Lines begin with a four-digit code and "-" (more) or " " (last), or
// with a space when the code is that of the line before. https://bird.network.cz/?get_doc&v=20&f=prog-2.html
import { connect } from "node:net";
import { messageOf, TortieError } from "../../../base/errors.ts";

export type Peer = { address: string; type: string; state: string; since: string; info: string };

/** calico-node names the protocols by where the peer comes from. */
const TYPES: Readonly<Record<string, string>> = { Mesh: "node-to-node mesh", Global: "global", Node: "node specific" };
const HEADINGS = "name proto table state since info";
const TIMEOUT_MS = 2000;
const LONGEST = 1 << 20;

function peerOf(row: string, family: 4 | 6): Peer | undefined {
  const [name = "", proto, , state, since, ...info] = row.trim().split(/\s+/);
  const [, origin, address] = /^(Mesh|Global|Node)_(.+)$/.exec(name) ?? [];
  if (proto !== "BGP" || origin === undefined || state === undefined || since === undefined || info.length === 0) return undefined;
  return { address: address!.replaceAll("_", family === 4 ? "." : ":"), type: TYPES[origin]!, state, since, info: info.join(" ") };
}

/** True when BIRD has said all. */
const isWhole = (text: string): boolean => /^0000 ?$/m.test(text) && text.endsWith("\n");

/** The BGP peers in a whole answer; those of other names are not calico-node's. Throws TortieError. */
export function peersOf(text: string, family: 4 | 6): Peer[] {
  const peers: Peer[] = [];
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("0001") || line.startsWith("0000")) continue;
    if (line.startsWith("2002")) {
      if (line.slice(5).trim().toLowerCase().split(/\s+/).join(" ") !== HEADINGS) throw new TortieError("unknown BIRD table output format");
    } else if (line.startsWith("1002") || line.startsWith(" ")) {
      const peer = peerOf(line.startsWith(" ") ? line : line.slice(5), family);
      if (peer) peers.push(peer);
    } else throw new TortieError("unexpected output line from BIRD");
  }
  return peers;
}

/** Asks the BIRD behind a control socket. Throws TortieError. */
export function askBird(socketPath: string, family: 4 | 6): Promise<Peer[]> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    let text = "";
    const done = (act: () => void): void => {
      socket.destroy();
      act();
    };
    socket.setTimeout(TIMEOUT_MS, () => done(() => reject(new TortieError("BIRD does not answer"))));
    socket.once("error", (cause: NodeJS.ErrnoException) => {
      const why = cause.code === "ENOENT" ? "there is no such socket" : cause.code === "ECONNREFUSED" ? "nobody listens there" : messageOf(cause);
      done(() => reject(new TortieError(`${socketPath}: ${why}`, { cause })));
    });
    socket.once("close", () => reject(new TortieError("BIRD closed the connection")));
    socket.setEncoding("utf8");
    socket.on("data", (chunk: string) => {
      text += chunk;
      if (text.length > LONGEST) done(() => reject(new TortieError("BIRD does not come to an end")));
      if (!isWhole(text)) return;
      done(() => {
        try {
          resolve(peersOf(text, family));
        } catch (thrown) {
          reject(thrown);
        }
      });
    });
    socket.write("show protocols\n");
  });
}
