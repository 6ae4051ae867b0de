// A program in a session of its own, on pipes or on a terminal, whose every descendant in that session can be ended with it.
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, readdirSync, readFileSync } from "node:fs";
import { ReadStream } from "node:tty";
import { openPty, resizePty } from "./pty.ts";

export type SessionOptions = { readonly argv: readonly string[]; readonly env: NodeJS.ProcessEnv; readonly tty: boolean };

export interface Session {
  /** Output of the terminal, or of standard output. */
  readonly stdout: NodeJS.ReadableStream;
  /** undefined on a terminal. */
  readonly stderr: NodeJS.ReadableStream | undefined;
  /** `taken` is called when the program took it, or never will. */
  write(data: Uint8Array, taken: () => void): void;
  /** End of input (Ctrl-D on a terminal). */
  end(): void;
  resize(columns: number, rows: number): void;
  /** Exit code, or a signal's number + 128 as a shell says it. Rejects when the program cannot be started. */
  readonly exit: Promise<number>;
  /** Ends the whole session. */
  kill(): void;
  /** Frees the terminal, once its output was read. */
  close(): void;
}

const SIGNALS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGTERM: 15,
};

/** The program ends with us, however we end. */
const DIE_WITH_US = ["setpriv", "--pdeathsig", "KILL", "--"];

const exitOf = (child: ChildProcess): Promise<number> =>
  new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve(code ?? 128 + (SIGNALS[signal ?? ""] ?? 0)));
  });

/** Kills every process of a session; a shell's jobs have process groups of their own. */
function killSession(id: number): void {
  for (const name of readdirSync("/proc").filter((n) => /^[0-9]+$/.test(n))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      // proc(5): state, ppid, pgrp, session after the name in parentheses.
      if (stat.slice(stat.lastIndexOf(")") + 2).split(" ")[3] === String(id)) process.kill(Number(name), "SIGKILL");
    } catch {
      // it ended in between
    }
  }
}

function onTerminal({ argv, env }: SessionOptions): Session {
  const { master, slave } = openPty();
  const args = ["--ctty", ...DIE_WITH_US, ...argv];
  const child = spawn("setsid", args, { env, stdio: [slave, slave, slave] });
  closeSync(slave);
  const stream = new ReadStream(master);
  // A terminal whose last program ended answers EIO: that is its end of file.
  stream.on("error", () => stream.destroy());
  let closed = false;
  return {
    stdout: stream,
    stderr: undefined,
    write: (data, taken) => (closed ? taken() : void stream.write(data, taken)),
    end: () => void (closed || stream.write(Buffer.from([4]))),
    resize: (columns, rows) => void (closed || resizePty(master, columns, rows)),
    exit: exitOf(child),
    kill: () => void (child.pid !== undefined && killSession(child.pid)),
    close: () => {
      closed = true;
      stream.destroy();
    },
  };
}

function onPipes({ argv, env }: SessionOptions): Session {
  const [file, ...args] = [...DIE_WITH_US, ...argv];
  const child = spawn(file!, args, { env, stdio: ["pipe", "pipe", "pipe"], detached: true });
  child.stdin.on("error", () => {}); // the program need not read its input
  return {
    stdout: child.stdout,
    stderr: child.stderr,
    write: (data, taken) => void child.stdin.write(data, taken),
    end: () => void child.stdin.end(),
    resize: () => {},
    exit: exitOf(child),
    kill: () => void (child.pid !== undefined && killSession(child.pid)),
    close: () => {},
  };
}

/** Starts a program in a new session. */
export const startSession = (options: SessionOptions): Session => (options.tty ? onTerminal(options) : onPipes(options));
