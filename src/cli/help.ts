import { COMMANDS } from "./table.ts";
import { VERSION } from "./version.ts";

export function printVersion(): number {
  process.stdout.write(`tortie v${VERSION}\n`);
  return 0;
}

export function printHelp(): number {
  const width = Math.max(...COMMANDS.map((c) => c.name.length)) + 2;
  const groups = [...new Set(COMMANDS.map((c) => c.group))];
  const block = (group: string): string =>
    `${group}:\n${COMMANDS.filter((c) => c.group === group)
      .map((c) => `  ${c.name.padEnd(width)}${c.summary}\n`)
      .join("")}`;
  process.stdout.write(
    `tortie: WireGuard encryption of all pod traffic with one setting, and the proof of it\n\nUsage: tortie COMMAND [ARGUMENTS]\n\n${groups.map(block).join("\n")}\n` +
      `Examples:\n  tortie lab exercise                 the whole walk, on four nodes on this machine\n  tortie lab up && tortie lab shell k8s-w1\n  tortie status -o json\n\n` +
      `tortie COMMAND --help explains one. Called as wg, calicoctl, kubectl, tcpdump, tshark or ping (tortie kubectl … does too) it acts as that program.\n`,
  );
  return 0;
}
