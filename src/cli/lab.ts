// tortie lab: a cluster of four nodes on this machine.
import { resolve } from "node:path";
import { TortieError } from "../base/errors.ts";
import { nodeOf, podOf, requireLab } from "../lab/enter.ts";
import { DAEMONS, type DaemonName, killDaemon } from "../lab/kill.ts";
import { session } from "../lab/session.ts";
import { onAction, program, runProgram, withExamples } from "./program.ts";

const MAIN = resolve(import.meta.dirname, "main.js");

export async function main(args: string[]): Promise<number> {
  const lab = program("tortie lab", "a cluster of four nodes on this machine, in namespaces that go when it goes", [
    "tortie lab exercise                         the whole walk: enable, ping, capture, decrypt, audit",
    "tortie lab up                               stays up in the background",
    "tortie lab shell k8s-w1                     a shell on a node",
    "tortie lab shell k8s-m -- wg show",
    "tortie lab exec pod1 -- ip address",
    "tortie lab kill device k8s-w2               it comes back by itself",
    "tortie lab down",
  ]);

  const plain = (name: string, description: string, act: () => Promise<number>, examples: string[]): void => {
    withExamples(onAction(lab.command(name).description(description), act), examples);
  };
  plain("up", "start the cluster and leave it running", async () => (await import("./lab/up.ts")).up(MAIN), [
    "tortie lab up",
    "tortie lab up && tortie lab shell k8s-w1",
  ]);
  plain("down", "end the cluster and remove what a killed one left", async () => (await import("./lab/up.ts")).down(), ["tortie lab down"]);
  plain("status", "is a lab up, and how to reach it", async () => (await import("./lab/up.ts")).status(), ["tortie lab status"]);

  withExamples(
    onAction(
      lab.command("shell").description("a shell on a node, or one command").argument("<node>").argument("[command...]"),
      (node: string, command: string[]) => {
        const running = requireLab();
        return session(running, nodeOf(running, node), command);
      },
    ),
    ["tortie lab shell k8s-m", "tortie lab shell k8s-m -- ss -unlp"],
  );
  withExamples(
    onAction(lab.command("exec").description("one command in a pod").argument("<pod>").argument("<command...>"), (pod: string, command: string[]) => {
      const running = requireLab();
      return session(running, podOf(running, pod), command);
    }),
    ["tortie lab exec pod1 -- ip address"],
  );
  withExamples(
    onAction(
      lab
        .command("kill")
        .description(`SIGKILL for one daemon, which is started again: ${DAEMONS.join(", ")}`)
        .argument("<daemon>")
        .argument("[node]", "of an agent or a device"),
      async (daemon: string, node: string | undefined) => {
        if (!(DAEMONS as readonly string[]).includes(daemon)) throw new TortieError(`Cannot kill "${daemon}": it is one of ${DAEMONS.join(", ")}`);
        if ((daemon === "server") !== (node === undefined))
          throw new TortieError(
            daemon === "server" ? "Cannot kill a node's server: the lab has one server" : `Cannot kill the ${daemon}: of which node?`,
            {
              hint: daemon === "server" ? "tortie lab kill server" : `tortie lab kill ${daemon} k8s-w1`,
            },
          );
        const pids = await killDaemon(requireLab(), daemon as DaemonName, node);
        process.stdout.write(`killed: ${daemon}${node === undefined ? "" : ` of ${node}`} (process ${pids.join(", ")} of the lab)\n`);
        return 0;
      },
    ),
    ["tortie lab kill device k8s-w2", "tortie lab kill agent k8s-m", "tortie lab kill server"],
  );
  withExamples(
    onAction(
      lab
        .command("exercise")
        .description("the whole walk on a cluster of its own: enable, ping, capture, decrypt, audit; leaves nothing behind")
        .option("--save <directory>", "keep the captures there"),
      async (options: { save?: string }) => (await import("./lab/exercise.ts")).exerciseCommand(MAIN, options),
    ),
    ["tortie lab exercise", "tortie lab exercise --save ./captures"],
  );
  onAction(lab.command("supervise", { hidden: true }), async () => (await import("../lab/supervisor.ts")).supervise(MAIN));
  return runProgram(lab, args);
}
