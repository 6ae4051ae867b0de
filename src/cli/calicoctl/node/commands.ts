// calicoctl node: what is asked on a node itself. https://docs.tigera.io/calico/latest/reference/calicoctl/node/status
import type { Command } from "commander";
import { TortieError } from "../../../base/errors.ts";
import { onAction } from "../../program.ts";
import { printing } from "../session.ts";

export function addNode(root: Command): void {
  const node = root.command("node").summary("this node");
  const c = node.command("status").summary("does the agent of this node run, and its BGP sessions?");
  onAction(c, () =>
    printing(c, async () => {
      if (process.getuid?.() !== 0) throw new TortieError("Need super user privileges: Operation not permitted");
      const [{ nodeStatus }, { running }] = await Promise.all([import("./status.ts"), import("./processes.ts")]);
      return nodeStatus(running());
    }),
  );
}
