// kubectl exec: this terminal, joined to a program in a pod.
import type { ReadStream, WriteStream } from "node:tty";
import { exec as execInPod, type TerminalSize } from "../../client/exec.ts";
import type { RestClient } from "../../client/rest.ts";
import { run } from "../../sys/exec.ts";

export type ExecFlags = { stdin?: boolean; tty?: boolean; container?: string };

const writeTo =
  (stream: NodeJS.WriteStream) =>
  (data: Uint8Array): void | Promise<void> => {
    if (!stream.write(data)) return new Promise((resolve) => stream.once("drain", resolve));
  };

/** The terminal's size now, and after each change. */
async function* sizesOf(terminal: WriteStream, over: AbortSignal): AsyncGenerator<TerminalSize> {
  let wake: (() => void) | undefined;
  const changed = (): void => wake?.();
  terminal.on("resize", changed);
  over.addEventListener("abort", changed, { once: true });
  try {
    while (!over.aborted) {
      yield { width: terminal.columns, height: terminal.rows };
      await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    terminal.off("resize", changed);
  }
}

/**
 * Node's raw mode still turns "\n" into "\r\n" on output, which draws a full-screen program of the pod as a staircase; the pod's own terminal has done
 * that already. Leaving raw mode restores all of it.
 */
async function raw(terminal: ReadStream): Promise<void> {
  terminal.setRawMode(true);
  await run("stty", ["-F", "/dev/tty", "-opost"]).catch(() => {}); // without stty or /dev/tty it is only less pretty
}

/** Runs a command in a pod, gives its exit code. The terminal is left as it was found. */
export async function exec(client: RestClient, pod: string, command: readonly string[], flags: ExecFlags, namespace: string): Promise<number> {
  const terminal = process.stdin.isTTY ? (process.stdin as ReadStream) : undefined;
  if (flags.tty && !terminal) process.stderr.write("Unable to use a TTY - input is not a terminal or the right kind of file\n");
  const tty = (flags.tty ?? false) && terminal !== undefined;
  const over = new AbortController();
  try {
    if (tty) await raw(terminal);
    const code = await execInPod(client.transport, {
      namespace,
      pod,
      command,
      tty,
      ...(flags.container === undefined ? {} : { container: flags.container }),
      ...(flags.stdin ? { stdin: process.stdin } : {}),
      ...(tty && process.stdout.isTTY ? { sizes: sizesOf(process.stdout, over.signal) } : {}),
      stdout: writeTo(process.stdout),
      stderr: writeTo(process.stderr),
    });
    if (tty) terminal.setRawMode(false);
    if (code !== 0) process.stderr.write(`command terminated with exit code ${code}\n`);
    return code;
  } finally {
    over.abort();
    if (tty) terminal.setRawMode(false);
    // Whatever was typed ahead is not ours any more, and an open stdin would keep this process waiting.
    if (flags.stdin) process.stdin.destroy();
  }
}
