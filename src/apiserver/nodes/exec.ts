// One exec, or one capture: the client's WebSocket on one side, a stream of the node's agent on the other. Bytes are passed on as they come; whoever reads too slowly makes
// the other side wait.
import type { WebSocket } from "ws";
import { unavailable } from "../../api/status.ts";
import { CHANNEL, type Listener, type Stream } from "./streams.ts";

export const EXEC_PROTOCOL = "v5.channel.k8s.io";
/** Bytes on their way to one side above which the other is not read, and below which it is again. */
const [HIGH, LOW] = [4 * 1024 * 1024, 1024 * 1024];
const POLL_MS = 20;
/** A client that takes nothing for so long is ended: the agent's stream serves others too. */
const STUCK_MS = 5000;

/** Runs until one side ends; `ended` is told the final Status, or why there was none. */
export function bridge(client: WebSocket, open: (listener: Listener) => Stream | undefined, ended: (result: unknown) => void): void {
  let over = false;
  let holding = false;
  const finish = (result: unknown): void => {
    if (over) return;
    over = true;
    ended(result);
  };
  const status = (payload: Uint8Array | string): void => {
    client.send(Buffer.concat([Uint8Array.of(CHANNEL.error), Buffer.from(payload)]), { binary: true });
    client.close(1000);
  };
  const stream = open({
    data(channel, payload) {
      if (over) return;
      if (channel === CHANNEL.error) {
        finish(readStatus(payload));
        return status(payload);
      }
      if (channel !== CHANNEL.stdout && channel !== CHANNEL.stderr) return;
      client.send(Buffer.concat([Uint8Array.of(channel), payload]), { binary: true });
      if (client.bufferedAmount > HIGH && stream && !holding) hold(stream);
    },
    lost() {
      if (over) return;
      finish("the agent went away");
      status(JSON.stringify(unavailable("the agent of the node went away").status));
    },
  });
  function hold(from: Stream): void {
    holding = true;
    let [least, since] = [client.bufferedAmount, Date.now()];
    throttle(from, () => {
      const left = client.bufferedAmount;
      if (left < least) [least, since] = [left, Date.now()];
      const stuck = !over && Date.now() - since > STUCK_MS;
      if (stuck) {
        finish("the client took no output");
        client.terminate();
      }
      holding = !(over || stuck || left < LOW);
      return !holding;
    });
  }
  if (!stream) {
    finish("the agent went away");
    return status(JSON.stringify(unavailable("the agent of the node went away").status));
  }
  client.on("message", (data: Buffer, binary: boolean) => {
    const channel = data[0];
    if (over || !binary || channel === undefined) return;
    if (channel !== CHANNEL.stdin && channel !== CHANNEL.resize && channel !== CHANNEL.close) return;
    stream.send(channel, data.subarray(1));
    if (stream.waiting > HIGH) throttle(client, () => over || stream.waiting < LOW);
  });
  client.on("close", () => {
    finish("the client went away");
    stream.close();
  });
  client.on("error", () => client.terminate());
}

function throttle(source: { pause(): void; resume(): void }, free: () => boolean): void {
  source.pause();
  const timer = setInterval(() => {
    if (!free()) return;
    clearInterval(timer);
    source.resume();
  }, POLL_MS);
}

function readStatus(payload: Uint8Array): unknown {
  try {
    const { status, reason, message } = JSON.parse(Buffer.from(payload).toString()) as Record<string, unknown>;
    return { status, reason, message };
  } catch {
    return "an unreadable status";
  }
}
