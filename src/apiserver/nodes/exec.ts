// One exec, or one capture: the client's WebSocket on one side, a stream of the node's agent on the other. Bytes are passed on as they come; whoever reads
// slowly makes the other side of this one stream wait, and nobody else (docs/design/streams.md).
import type { WebSocket } from "ws";
import { CHANNEL } from "../../api/nodestream.ts";
import { type ApiError, unavailable } from "../../api/status.ts";
import type { Listener, Stream } from "./streams.ts";

export const EXEC_PROTOCOL = "v5.channel.k8s.io";
/**
 * A client that is not read from, because the command takes no input, shows its end only when something is written to it. No answer is asked for: one that reads
 * nothing, such as a pager's, may stay.
 */
const PING_MS = 15_000;

/** How it ended: the final Status, or why there was none. */
export type Ending = { readonly result: unknown; readonly fromClient: number; readonly toClient: number };
export type Bridge = {
  /** Ends it with this refusal, when it still runs: what allowed it is over. */
  end(why: ApiError): void;
};

/** Runs until one side ends; `ended` is called once. */
export function bridge(client: WebSocket, open: (listener: Listener) => Stream | undefined, ended: (ending: Ending) => void): Bridge {
  let over = false;
  const bytes = { fromClient: 0, toClient: 0 };
  const ping = setInterval(() => client.ping(), PING_MS);
  const finish = (result: unknown): void => {
    if (over) return;
    over = true;
    clearInterval(ping);
    ended({ result, ...bytes });
  };
  const status = (payload: Uint8Array | string): void => {
    client.send(Buffer.concat([Uint8Array.of(CHANNEL.status), Buffer.from(payload)]), { binary: true });
    client.close(1000);
    // One that reads nothing does not read this either.
    client.resume();
  };
  const fail = (result: string, why: ApiError): void => {
    if (over) return;
    finish(result);
    status(JSON.stringify(why.status));
  };
  const lost = (): void => fail("the agent went away", unavailable("the agent of the node went away: what ran there was ended"));
  const stream = open({
    data(channel, payload, taken) {
      if (over) return;
      bytes.toClient += payload.length;
      client.send(Buffer.concat([Uint8Array.of(channel), payload]), { binary: true }, taken);
    },
    status(payload) {
      if (over) return;
      finish(readStatus(payload));
      status(payload);
    },
    lost,
  });
  if (!stream) {
    lost();
    return { end: () => {} };
  }
  // One message after the other; while one waits for its turn the client is not read.
  let last: Promise<void> = Promise.resolve();
  let waiting = 0;
  client.on("message", (data: Buffer, binary: boolean) => {
    const channel = data[0];
    if (over || !binary || channel === undefined) return;
    const payload = data.subarray(1);
    if (channel === CHANNEL.resize) return stream.control(channel, payload);
    if (channel !== CHANNEL.stdin && channel !== CHANNEL.close) return;
    if (channel === CHANNEL.stdin) bytes.fromClient += payload.length;
    if (++waiting === 1) client.pause();
    last = last
      .then(() => (channel === CHANNEL.stdin ? stream.write(payload) : stream.control(channel, payload)))
      .finally(() => {
        if (--waiting === 0) client.resume();
      });
  });
  client.on("close", () => {
    finish("the client went away");
    stream.close();
  });
  client.on("error", () => client.terminate());
  return {
    end: (why) => {
      fail(why.message, why);
      stream.close();
    },
  };
}

function readStatus(payload: Uint8Array): unknown {
  try {
    const { status, reason, message } = JSON.parse(Buffer.from(payload).toString()) as Record<string, unknown>;
    return { status, reason, message };
  } catch {
    return "an unreadable status";
  }
}
