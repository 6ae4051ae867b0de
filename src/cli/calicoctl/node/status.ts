// node status: does the agent of this node run, and what do its BGP sessions say? Of encryption it says nothing, as calicoctl's: that is `tortie status`.
import { messageOf, TortieError } from "../../../base/errors.ts";
import { boxTable } from "../boxtable.ts";
import { askBird, type Peer } from "./bird.ts";
import type { Running } from "./processes.ts";

type Ask = (socketPath: string, family: 4 | 6) => Promise<Peer[]>;
/** calico-node's own, then that of a BIRD outside of a container. */
const DIRECTORIES = ["/var/run/calico", "/var/run/bird"] as const;

async function peers(family: 4 | 6, ask: Ask): Promise<string> {
  const socket = family === 4 ? "bird.ctl" : "bird6.ctl";
  let failed: unknown;
  for (const directory of DIRECTORIES) {
    try {
      const found = await ask(`${directory}/${socket}`, family);
      if (found.length === 0) return `No IPv${family} peers found.\n`;
      const rows = found.map((p) => [p.address, p.type, p.state, p.since, p.info]);
      return boxTable(["Peer address", "Peer type", "State", "Since", "Info"], rows);
    } catch (thrown) {
      failed ??= thrown;
    }
  }
  return `Error querying BIRD: unable to connect to BIRDv${family} socket: ${messageOf(failed)}\n`;
}

const family = async (of: 4 | 6, runs: boolean, ask: Ask): Promise<string> =>
  runs ? `\nIPv${of} BGP status\n${await peers(of, ask)}` : `\nINFO: BIRDv${of} process: '${of === 4 ? "bird" : "bird6"}' is not running.\n`;

/** The text of node status. Throws calicoctl's sentence when no agent runs here. */
export async function nodeStatus({ agent, bird, bird6 }: Running, ask: Ask = askBird): Promise<string> {
  if (!agent)
    throw new TortieError("Calico process is not running.", {
      hint: "On a node, `tortie agent` is that process; in the lab, `tortie lab shell NODE` leads there.",
    });
  const bgp = bird || bird6 ? (await family(4, bird, ask)) + (await family(6, bird6, ask)) : "\nThe BGP backend process (BIRD) is not running.\n";
  return `Calico process is running.\n${bgp}\n`;
}
