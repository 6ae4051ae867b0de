// The control socket: our server and our client, and the errors that the real wg understands.
import { execFile } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { fromHex, toHex } from "../../src/base/bytes.ts";
import type { AllowedIpChange } from "../../src/uapi/types.ts";
import { connect, listInterfaces, UapiError } from "../../src/uapi/client.ts";
import { MemoryDevice } from "../../src/uapi/memory.ts";
import { serveUapi, type UapiServer } from "../../src/uapi/server.ts";

const A = "aa".repeat(32);
let directory: string;
let path: string;
let device: MemoryDevice;
let server: UapiServer;

beforeEach(async () => {
  directory = join(mkdtempSync(join(tmpdir(), "tortie-uapi-")), "wireguard");
  path = join(directory, "wg0.sock");
  device = new MemoryDevice();
  server = await serveUapi(path, device);
});
afterEach(async () => {
  await server.close();
  rmSync(join(directory, ".."), { recursive: true });
});

/** Writes to the socket as given, closes that side, and reads to the end. */
const raw = (text: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = createConnection(path);
    let got = "";
    socket.on("data", (b: Buffer) => (got += b.toString("latin1")));
    socket.on("close", () => resolve(got));
    socket.on("error", reject);
    socket.end(text);
  });

describe("the socket", () => {
  test("is 0700 in a directory of 0755, and goes when the server closes", async () => {
    expect([statSync(directory).mode & 0o777, statSync(path).mode & 0o777]).toEqual([0o755, 0o700]);
    await server.close();
    expect(existsSync(path)).toBe(false);
  });
  test("of a live device is refused, of a dead one replaced", async () => {
    await expect(serveUapi(path, device)).rejects.toThrow("it is in use");
    expect(await raw("get=1\n\n")).toContain("errno=0");
    const dead = join(directory, "dead.sock");
    // A child that binds the socket and is killed leaves the file behind.
    const script = `require("net").createServer().listen(${JSON.stringify(dead)}, () => process.kill(process.pid, "SIGKILL"))`;
    await new Promise((resolve) => execFile(process.execPath, ["-e", script], resolve));
    expect(existsSync(dead)).toBe(true);
    const second = await serveUapi(dead, device);
    (await connect(dead)).close();
    await second.close();
  });
  test("is not put over a file that is no socket", async () => {
    const file = join(directory, "file.sock");
    writeFileSync(file, "precious");
    await expect(serveUapi(file, device)).rejects.toThrow("no socket stands there");
    expect(statSync(file).size).toBe(8);
  });
  test("says when its file was removed", async () => {
    rmSync(path);
    await server.gone;
  });
  test("appears in the list of interfaces, and only sockets do", async () => {
    writeFileSync(join(directory, "x.sock"), "");
    expect(await listInterfaces(directory)).toEqual(["wg0"]);
    expect(await listInterfaces(join(directory, "missing"))).toEqual([]);
  });
});

describe("conversations", () => {
  test("several operations on one connection, however the bytes are cut", async () => {
    const text = `set=1\nlisten_port=7\n\nget=1\n\nset=1\nfwmark=x\nlisten_port=9\n\nset=1\nfwmark=3\n\nget=1\n\n`;
    const want = "errno=0\n\nlisten_port=7\nerrno=0\n\nerrno=-22\n\nerrno=0\n\nlisten_port=7\nfwmark=3\nerrno=0\n\n";
    expect(await raw(text)).toBe(want);
    const socket = createConnection(path);
    let got = "";
    socket.on("data", (b: Buffer) => (got += b.toString("latin1")));
    for (const c of "get=1\n\nget=1\n\n") {
      socket.write(c);
      await new Promise((r) => setImmediate(r));
    }
    socket.end();
    await new Promise((r) => socket.on("close", r));
    expect(got).toBe("listen_port=7\nfwmark=3\nerrno=0\n\n".repeat(2));
  });
  test.for([
    ["get=1\nx\n\nget=1\n\n", "errno=22\n\n"],
    ["hello\n\nget=1\n\n", ""],
    ["\n", ""],
    ["get=2\n\n", ""],
    [`${"a".repeat(100_000)}\n`, ""],
    ["set=1\nfwmark=5\n", ""],
    ["set=1\nlisten_port\n\n", "errno=-71\n\n"],
  ])("%j is answered by %j", async ([text, want]) => expect(await raw(text!).catch(() => "")).toBe(want));

  test("130,560 allowed IPs in one operation", async () => {
    const allowedIps: AllowedIpChange[] = [];
    for (let i = 0; i < 130_560; i++) allowedIps.push({ ip: new Uint8Array([10, i >> 16, (i >> 8) & 255, i & 255]), prefix: 32 });
    const client = await connect(path);
    await client.set({ peers: [{ publicKey: fromHex(A)!, replaceAllowedIps: true, allowedIps }] });
    const state = await client.get();
    client.close();
    expect([...state.peers[0]!.allowedIps]).toEqual(allowedIps);
  });
});

describe("the client", () => {
  test("gets what it set; an error has the errno; the connection goes on", async () => {
    const client = await connect(path);
    await client.set({ privateKey: fromHex(A)!, listenPort: 5, peers: [{ publicKey: fromHex(A)!, persistentKeepalive: 9 }] });
    const state = await client.get();
    expect([toHex(state.privateKey!), state.listenPort, state.fwmark, state.peers[0]!.persistentKeepalive]).toEqual([A, 5, 0, 9]);
    await client.handshake();
    await expect(client.handshake([fromHex("cc".repeat(32))!])).rejects.toMatchObject({ errno: 2 });
    expect(device.calls.slice(-2)).toEqual(["handshake", `handshake ${"cc".repeat(32)}`]);
    expect((await client.get()).listenPort).toBe(5);
    client.close();
  });
  test("many operations at once keep their answers apart", async () => {
    const client = await connect(path);
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) => client.set({ listenPort: i }).then(async () => (await client.get()).listenPort)),
    );
    expect(answers.at(-1)).toBe(49);
    client.close();
  });
  test("a client that asks for much and goes away costs the others nothing", async () => {
    for (let i = 0; i < 2000; i++)
      device.peer(
        Uint8Array.from({ length: 32 }, (_, n) => (i >> (8 * n)) & 255),
        false,
      );
    let states = 0;
    const state = device.state.bind(device);
    device.state = () => (states++, state());
    const greedy = createConnection(path);
    greedy.on("error", () => {});
    greedy.write("get=1\n\n".repeat(500));
    // It has begun: its first answer fills the socket's buffer, as nobody reads.
    await expect.poll(() => states).toBe(1);
    greedy.destroy();
    expect(await raw("set=1\n\n")).toBe("errno=0\n\n");
    expect(states).toBeLessThan(10);
  });
  test("notices the device's death on an idle connection, and later operations fail", async () => {
    const client = await connect(path);
    await server.close();
    await client.closed;
    await expect(client.get()).rejects.toBeInstanceOf(UapiError);
    await expect(connect(path)).rejects.toMatchObject({ errno: 19 });
  });
  test("streams the key log until it is stopped", async () => {
    const client = await connect(path);
    const stop = new AbortController();
    const got: string[] = [];
    const reading = (async () => {
      for await (const lines of client.keylog(stop.signal)) {
        got.push(Buffer.from(lines).toString());
        if (got.join("").endsWith("two\n")) stop.abort();
      }
    })();
    while (!device.calls.includes("keylog")) await new Promise((r) => setTimeout(r, 5));
    const lines = Buffer.from("one\n");
    device.log(lines);
    device.log(Buffer.from("two\n"));
    await reading;
    await client.closed;
    while (!device.calls.includes("keylog end")) await new Promise((r) => setTimeout(r, 5));
    expect(got.join("")).toBe("one\ntwo\n");
  });
});

test("a socket that cannot be made is an error for a person", async () => {
  chmodSync(directory, 0o755);
  writeFileSync(join(directory, "plain"), "");
  await expect(serveUapi(join(directory, "plain", "wg0.sock"), device)).rejects.toThrow(/^Cannot listen on/);
});
