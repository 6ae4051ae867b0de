// exec over v5.channel.k8s.io, against a WebSocket server that plays the program: only a unix socket.
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { ApiError } from "../../src/client/error.ts";
import { exec } from "../../src/client/exec.ts";
import { nodeTransport } from "../../src/client/node.ts";
import type { Transport } from "../../src/client/transport.ts";

let directory: string;
let server: Server;
let sockets: WebSocketServer;
let transport: Transport;
let url: string;
let play: (socket: WebSocket) => void;
let refuse: string | undefined;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "tortie-exec-"));
  const socketPath = join(directory, "api.sock");
  server = createServer();
  sockets = new WebSocketServer({ noServer: true, handleProtocols: (offered) => [...offered][0]! });
  refuse = undefined;
  server.on("upgrade", (req, socket, head) => {
    url = req.url!;
    if (refuse !== undefined) return void socket.end(`HTTP/1.1 404 Not Found\r\ncontent-length: ${refuse.length}\r\n\r\n${refuse}`);
    sockets.handleUpgrade(req, socket, head, (ws) => play(ws));
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  transport = nodeTransport({ url: `unix:${socketPath}`, socketPath });
});
afterEach(async () => {
  await transport.close();
  for (const c of sockets.clients) c.terminate();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(directory, { recursive: true });
});

const status = (code: number): string =>
  code === 0
    ? '{"metadata":{},"status":"Success"}'
    : `{"metadata":{},"status":"Failure","reason":"NonZeroExitCode","message":"command terminated with exit code ${code}","details":{"causes":[{"reason":"ExitCode","message":"${code}"}]}}`;
const frame = (channel: number, text: string): Buffer => Buffer.concat([Buffer.from([channel]), Buffer.from(text)]);
const end = (ws: WebSocket, code: number): void => {
  ws.send(frame(3, status(code)));
  ws.close(1000);
};
async function* chunks(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const t of texts) yield Buffer.from(t);
}
type Out = { out: string; err: string };
const collect = (): Out & { stdout: (d: Uint8Array) => void; stderr: (d: Uint8Array) => void } => {
  const o = {
    out: "",
    err: "",
    stdout: (d: Uint8Array) => void (o.out += Buffer.from(d).toString()),
    stderr: (d: Uint8Array) => void (o.err += Buffer.from(d).toString()),
  };
  return o;
};

describe("exec()", () => {
  test.for([0, 1, 7, 137])("gives the exit code %i, and both outputs apart", async (code) => {
    play = (ws) => {
      ws.send(frame(1, ""));
      ws.send(frame(1, "out\n"));
      ws.send(frame(2, "err\n"));
      end(ws, code);
    };
    const o = collect();
    expect(await exec(transport, { namespace: "default", pod: "p", command: ["ls", "-l", "a&b"], ...o })).toBe(code);
    expect([o.out, o.err]).toEqual(["out\n", "err\n"]);
  });

  test("asks for what it needs", async () => {
    play = (ws) => end(ws, 0);
    await exec(transport, { namespace: "n s", pod: "p", container: "c", command: ["ls", "-l", "a&b"], tty: true, stdin: chunks(), ...collect() });
    expect(url).toBe("/api/v1/namespaces/n%20s/pods/p/exec?container=c&stdin=true&stdout=true&tty=true&command=ls&command=-l&command=a%26b");
  });

  test("stdin goes there, its end too; what comes back keeps its order", async () => {
    let got = "";
    play = (ws) =>
      ws.on("message", (data: Buffer) => {
        if (data[0] === 255) {
          expect(data[1]).toBe(0);
          for (const c of got) ws.send(frame(1, c));
          return end(ws, 0);
        }
        expect(data[0]).toBe(0);
        got += data.subarray(1).toString();
      });
    let out = "";
    const slow = async (d: Uint8Array): Promise<void> => {
      await new Promise((r) => setTimeout(r, Math.random() * 3));
      out += Buffer.from(d).toString();
    };
    const code = await exec(transport, { namespace: "d", pod: "p", command: ["cat"], stdin: chunks("hello ", "world"), stdout: slow, stderr: slow });
    expect([code, got, out]).toEqual([0, "hello world", "hello world"]);
  });

  test("sizes of the terminal are sent", async () => {
    play = (ws) =>
      ws.on("message", (data: Buffer) => {
        expect(data[0]).toBe(4);
        expect(JSON.parse(data.subarray(1).toString())).toEqual({ Width: 120, Height: 40 });
        end(ws, 0);
      });
    const sizes = (async function* () {
      yield { width: 120, height: 40 };
    })();
    expect(await exec(transport, { namespace: "d", pod: "p", command: ["sh"], tty: true, sizes, ...collect() })).toBe(0);
  });

  test("a refused upgrade throws the server's Status", async () => {
    refuse = JSON.stringify({ kind: "Status", status: "Failure", reason: "NotFound", code: 404, message: 'pods "p" not found' });
    const thrown = await exec(transport, { namespace: "d", pod: "p", command: ["sh"], ...collect() }).catch((e: unknown) => e);
    expect(thrown).toBeInstanceOf(ApiError);
    expect(thrown).toMatchObject({ message: 'pods "p" not found', code: 404 });
  });

  test("a failure that is no exit code throws", async () => {
    play = (ws) => {
      ws.send(frame(3, '{"status":"Failure","reason":"InternalError","message":"no shell here","code":500}'));
      ws.close(1000);
    };
    await expect(exec(transport, { namespace: "d", pod: "p", command: ["sh"], ...collect() })).rejects.toThrow("no shell here");
  });

  test("a connection that breaks is an error, not a success", async () => {
    play = (ws) => ws.terminate();
    await expect(exec(transport, { namespace: "d", pod: "p", command: ["sh"], ...collect() })).rejects.toThrow(
      'Cannot go on with the command in pod "p"',
    );
  });
});
