// An agent that runs the commands of exec on this machine: the other end of the server's stream in tests.
import { type ChildProcess, spawn } from "node:child_process";
import { WebSocket } from "ws";

type Open = { command: string[]; stdin: boolean; tty: boolean; pod: string };

/** Connects to the server's unix socket as the agent of `node`; resolves when the stream stands. */
export async function fakeAgent(socketPath: string, node: string): Promise<{ opened: Open[]; close(): void; running(): number }> {
  const socket = new WebSocket(`ws+unix:${socketPath}:/apis/tortie.io/v1/nodes/${node}/stream`, "v1.stream.tortie.io");
  const opened: Open[] = [];
  const children = new Map<number, ChildProcess>();
  const send = (id: number, channel: number, payload: Uint8Array): void => {
    const header = Buffer.alloc(5);
    header.writeUInt32BE(id);
    header[4] = channel;
    socket.send(Buffer.concat([header, payload]));
  };
  const final = (id: number, code: number): void => {
    children.delete(id);
    const status =
      code === 0
        ? { metadata: {}, status: "Success" }
        : {
            metadata: {},
            status: "Failure",
            reason: "NonZeroExitCode",
            message: `command terminated with exit code ${code}`,
            details: { causes: [{ reason: "ExitCode", message: String(code) }] },
          };
    send(id, 3, Buffer.from(JSON.stringify(status)));
  };
  socket.on("message", (data: Buffer) => {
    const id = data.readUInt32BE(0);
    const payload = data.subarray(5);
    const child = children.get(id);
    if (data[4] === 254) {
      const open = JSON.parse(payload.toString()) as Open;
      opened.push(open);
      const started = spawn(open.command[0]!, open.command.slice(1), { stdio: [open.stdin ? "pipe" : "ignore", "pipe", "pipe"] });
      children.set(id, started);
      started.stdout!.on("data", (d: Buffer) => send(id, 1, d));
      started.stderr!.on("data", (d: Buffer) => send(id, 2, d));
      started.on("error", () => final(id, 127));
      started.on("close", (code) => final(id, code ?? 137));
    } else if (data[4] === 0) child?.stdin?.write(payload);
    else if (data[4] === 255 && payload[0] === 0) child?.stdin?.end();
    else if (data[4] === 255) child?.kill("SIGKILL");
  });
  await new Promise((resolve, reject) => {
    socket.once("open", resolve);
    socket.once("error", reject);
  });
  return { opened, close: () => socket.terminate(), running: () => children.size };
}
