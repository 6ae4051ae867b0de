// A capture on a node whose way is lost, with another end that does what it is told; the real ones are in test/lab/capture.test.ts.
import { expect, test } from "vitest";
import { concat, utf8 } from "../../base/bytes.ts";
import { TortieError } from "../../base/errors.ts";
import { PcapngWriter } from "../../capture/writer.ts";
import { apiErrorOfStatus } from "../../client/error.ts";
import { CHANNEL } from "../../client/exec.ts";
import type { MessageSocket, Transport } from "../../client/transport.ts";
import { openNode } from "./nodes.ts";
import type { Feed, Tapped } from "./tap.ts";

type Ears = Parameters<MessageSocket["listen"]>[0];

/** One run on the node: an interface, counters when it is asked, packets when the test says so. */
class Run implements MessageSocket {
  readonly buffered = 0;
  received = 0;
  #ears: Ears | undefined;
  readonly #writer: PcapngWriter;

  constructor() {
    this.#writer = new PcapngWriter((bytes) => void this.#ears?.message(concat(Uint8Array.of(CHANNEL.stdout), bytes)));
  }
  listen(ears: Ears): void {
    this.#ears = ears;
    // The section header came before anybody listened.
    const writer = new PcapngWriter((bytes) => void ears.message(concat(Uint8Array.of(CHANNEL.stdout), bytes)));
    writer.addInterface({ name: "eth0", link: 1 });
  }
  send(message: Uint8Array): void {
    if (message[0] === CHANNEL.stdin) this.#count();
    else if (message[0] === CHANNEL.close) this.end({ status: "Success" });
  }
  #count(): void {
    const end = BigInt(Date.now()) * 1_000_000n;
    this.#writer.statistics(0, end, { end, accepted: BigInt(this.received), osDropped: 0n });
  }
  packet(text: string): void {
    this.received++;
    this.#writer.packet(0, { data: utf8(text), time: BigInt(Date.now()) * 1_000_000n });
    this.#count();
  }
  cut(): void {
    this.#ears!.close(1006, "");
  }
  end(status: object): void {
    void this.#ears!.message(concat(Uint8Array.of(CHANNEL.error), utf8(JSON.stringify(status))));
    this.#ears!.close(1000, "");
  }
  close(): void {
    this.cut();
  }
}

const refused = (code: number, message: string): Error => apiErrorOfStatus({ status: "Failure", code, message });

/** A server that lets a capture begin, except where a refusal waits for its turn. */
class Server implements Transport {
  readonly where = "here";
  readonly runs: Run[] = [];
  readonly refusals: Error[] = [];
  request(): never {
    throw new Error("nothing is asked of it");
  }
  async webSocket(): Promise<MessageSocket> {
    const refusal = this.refusals.shift();
    if (refusal) throw refusal;
    const run = new Run();
    this.runs.push(run);
    return run;
  }
  async close(): Promise<void> {}
}

type Watched = { server: Server; feed: Feed; warned: string[]; got: Tapped[]; done: Promise<string> };
async function begin(): Promise<Watched> {
  const server = new Server();
  const warned: string[] = [];
  const feed = await openNode(server, "w1", { interfaces: ["eth0"], filter: "" }, { onKeys: () => {}, warn: (text) => void warned.push(text) });
  const got: Tapped[] = [];
  const done = (async () => {
    for await (const batch of feed.batches()) got.push(...batch);
    return "ended";
  })().catch((thrown: unknown) => (thrown as Error).message);
  return { server, feed, warned, got, done };
}
async function until(holds: () => boolean): Promise<void> {
  for (const end = Date.now() + 20_000; !holds(); await new Promise((r) => setTimeout(r, 5)))
    if (Date.now() > end) throw new Error("it did not happen");
}

test("what is cut goes on, through refusals that pass: the gap is said, and stands at the first packet after it; counters go on", async () => {
  const { server, feed, warned, got, done } = await begin();
  server.runs[0]!.packet("one");
  server.runs[0]!.packet("two");
  server.refusals.push(refused(503, "the agent is not connected"), new TortieError("Cannot reach the API server"), refused(429, "too many"));
  server.runs[0]!.cut();
  await until(() => feed.away !== undefined);
  expect(feed.away).toMatch(/^node "w1" was not reached any more: Cannot go on with the capture on node "w1": the connection ended/);
  await until(() => warned.length === 2);
  expect([feed.away, server.runs.length]).toEqual([undefined, 2]);
  expect(warned).toEqual([
    expect.stringMatching(/^The way to node "w1" is lost: .* \(close code 1006\)\. It is tried again until the capture ends\.$/),
    expect.stringMatching(/^Node "w1" is captured on again; what passed there in the [\d.]+ s between is missing\.$/),
  ]);
  server.runs[1]!.packet("three");
  server.runs[1]!.packet("four");
  await until(() => got.length === 4);
  expect(got.map((t) => t.tap.name)).toEqual(["w1/eth0", "w1/eth0", "w1/eth0", "w1/eth0"]);
  expect(got.map((t) => t.comments)).toEqual([
    [],
    [],
    [expect.stringMatching(/^for [\d.]+ s before this nothing was captured on w1: the way to it was lost$/)],
    [],
  ]);
  expect(feed.taps).toHaveLength(1);
  expect(feed.taps[0]!.statistics()).toEqual({ received: 4, dropped: 0 });
  await feed.close();
  expect(await done).toBe("ended");
});

test.for<[string, (server: Server) => void, RegExp]>([
  [
    "a refusal that stays, such as of a grant that is over",
    (server) => {
      server.refusals.push(refused(403, "it has expired"));
      server.runs[0]!.cut();
    },
    /^Cannot go on capturing on node "w1": it has expired$/,
  ],
  [
    "the end of the program there",
    (server) => server.runs[0]!.end({ status: "Failure", reason: "NonZeroExitCode", details: { causes: [{ reason: "ExitCode", message: "137" }] } }),
    /^Cannot go on capturing on node "w1": exit code 137$/,
  ],
  ["its end without a reason", (server) => server.runs[0]!.end({ status: "Success" }), /^Cannot go on capturing on node "w1": it ended by itself$/],
])("%s ends it", async ([, act, words]) => {
  const { server, feed, done } = await begin();
  act(server);
  expect(await done).toMatch(words);
  await feed.close();
});

test("it can be closed while the node is away, and then says that it was", async () => {
  const { server, feed, done } = await begin();
  server.refusals.push(...Array.from({ length: 1000 }, () => refused(503, "not now")));
  server.runs[0]!.cut();
  await until(() => server.refusals.length < 1000);
  await feed.close();
  expect(await done).toBe("ended");
  expect(feed.away).toMatch(/was not reached any more/);
});

test("a node that cannot be captured on at all is refused at once, with the server's words", async () => {
  const server = new Server();
  server.refusals.push(refused(503, "the agent is not connected"));
  const opening = openNode(server, "w1", { interfaces: ["eth0"], filter: "" }, { onKeys: () => {}, warn: () => {} });
  await expect(opening).rejects.toThrow('Cannot capture on node "w1": the agent is not connected');
});
