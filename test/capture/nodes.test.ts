// `tortie capture --node` on a real server and a real way to a node, whose "node" is this machine: the server is killed in the middle and started again.
import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Stream } from "../../src/agent/stream.ts";
import { silent } from "../../src/base/log.ts";
import { readCapture } from "../../src/capture/reader.ts";
import { loadKubeconfig } from "../../src/client/kubeconfig.ts";
import { ask, ServerHome, type ServerProcess, until } from "../apiserver/process.ts";
import { describeRoot, TORTIE } from "../peers.ts";

const LATE = 60_000;

describeRoot("a capture on a node", () => {
  let home: ServerHome;
  let server: ServerProcess;
  const over = new AbortController();
  let serving: Promise<void>;
  const wire = createSocket("udp4");
  const to = createSocket("udp4");
  beforeAll(async () => {
    await new Promise<void>((resolve) => to.bind(0, "127.0.0.1", resolve));
    home = new ServerHome();
    server = await home.start();
    await ask(home.socket, "/api/v1/nodes", { method: "POST", body: JSON.stringify({ metadata: { name: "n1" } }) });
    const stream = new Stream({ endpoint: loadKubeconfig(home.kubeconfig), node: "n1", log: silent, tortie: [process.execPath, TORTIE] });
    serving = stream.run(over.signal);
    await until(() => stream.connected, LATE);
  });
  afterAll(async () => {
    over.abort();
    await serving;
    wire.close();
    to.close();
    await home.remove();
  });

  test("outlives the server: nothing but the gap is missing, and the file says where it is", async () => {
    const path = join(home.directory, "wire.pcapng");
    const args = ["capture", "--kubeconfig", home.kubeconfig, "--node", "n1", "-i", "lo", "-w", path, `udp port ${to.address().port}`];
    const capture = spawn(process.execPath, [TORTIE, ...args], { stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    capture.stderr.on("data", (d: Buffer) => (said += d.toString()));
    const code = new Promise<number | null>((resolve) => capture.once("close", resolve));
    const says = (words: RegExp): Promise<void> => until(() => words.test(said), LATE);
    const count = (text: string): number => readCapture(readFileSync(path)).packets.filter((p) => Buffer.from(p.data).includes(text)).length;
    const send = async (text: string): Promise<void> => {
      wire.send(text, to.address().port, "127.0.0.1");
      await until(() => count(text) === 1, LATE);
    };
    await says(/^listening on/m);
    await send("before it");
    server.child.kill("SIGKILL");
    await server.ended;
    await says(/^The way to node "n1" is lost: /m);
    wire.send("while it is away", to.address().port, "127.0.0.1");
    server = await home.start(Number(new URL(server.url).port));
    await says(/^Node "n1" is captured on again; what passed there in the [\d.]+ s between is missing\.$/m);
    await send("after it");
    capture.kill("SIGINT");
    expect(await code, said).toBe(0);
    const file = readCapture(readFileSync(path));
    const texts = file.packets.map((p) => /before it|after it|while it is away/.exec(Buffer.from(p.data).toString("latin1"))?.[0]);
    expect(texts).toEqual(["before it", "after it"]);
    expect(file.packets.map((p) => p.comments)).toEqual([
      [],
      [expect.stringMatching(/^for [\d.]+ s before this nothing was captured on n1: the way to it was lost$/)],
    ]);
    expect(file.interfaces).toHaveLength(1);
  });
});
