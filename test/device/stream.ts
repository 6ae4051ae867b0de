// Numbered UDP datagrams at a steady pace from one host to another, and how many of them arrived. The receiver's buffer holds seconds of them, so that what
// is missing was lost on the way and not because a busy machine let the receiver wait.
import { eventually, type Host, type Spawned } from "./host.ts";

const dist = (path: string): string => JSON.stringify(new URL(`../../dist/${path}`, import.meta.url).href);
const run = (host: Host, script: string): Spawned => host.spawn([process.execPath, "--input-type=module", "-e", script]);

const receiver = (port: number, count: number): string => `
  const { openUdp } = await import(${dist("sys/udp.js")});
  const { readFd } = await import(${dist("sys/descriptor.js")});
  const { address } = await import(${dist("sys/ffi.js")});
  const { v4 } = openUdp(${port});
  const buffer = Buffer.allocUnsafeSlow(65536);
  const seen = new Set();
  let twice = 0;
  const end = () => (console.log(JSON.stringify({ arrived: seen.size, twice })), process.exit());
  process.on("SIGTERM", end);
  setInterval(() => {
    while (readFd(v4, address(buffer), buffer.length) >= 4) {
      const number = buffer.readUInt32LE(0);
      if (seen.has(number)) twice++;
      seen.add(number);
    }
    if (seen.size === ${count}) end();
  }, 1);
  console.log("listens");`;

const sender = (to: string, port: number, count: number, rate: number): string => `
  import { createSocket } from "node:dgram";
  const socket = createSocket("udp4");
  let last = performance.now();
  let due = 0;
  let sent = 0;
  const timer = setInterval(() => {
    // Time in which it had to wait for a processor is not made up for: that would be a burst.
    due += Math.min(20, performance.now() - last) / 1000 * ${rate};
    last = performance.now();
    while (sent < Math.min(${count}, Math.floor(due))) {
      const bytes = Buffer.alloc(100);
      bytes.writeUInt32LE(sent++, 0);
      socket.send(bytes, ${port}, "${to}");
    }
    if (sent === ${count}) {
      clearInterval(timer);
      // What was handed to it goes out a little later.
      setTimeout(() => socket.close(), 200);
    }
  }, 1);`;

export type Arrival = { readonly arrived: number; readonly twice: number };

/** `count` datagrams of 100 bytes to the address that `to` has inside, `rate` a second at most. Starts at once; resolves when all have arrived, or `patience` ms after the last was sent. */
export async function stream(
  from: Host,
  to: Host,
  address: string,
  count: number,
  rate: number,
  patience = 60_000,
): Promise<{ readonly done: Promise<Arrival> }> {
  const port = 9000;
  const receiving = run(to, receiver(port, count));
  await eventually(() => {
    if (!receiving.output().includes("listens")) throw new Error(`the receiver does not listen: ${receiving.output()}`);
  });
  const sending = run(from, sender(address, port, count, rate));
  const done = (async (): Promise<Arrival> => {
    const code = await sending.exit;
    if (code !== 0) throw new Error(`the sender ended with ${code}: ${sending.output()}`);
    const late = setTimeout(() => receiving.child.kill("SIGTERM"), patience);
    await receiving.exit;
    clearTimeout(late);
    const report = /^\{.*\}$/m.exec(receiving.output());
    if (!report) throw new Error(`the receiver said: ${receiving.output()}`);
    return JSON.parse(report[0]) as Arrival;
  })();
  done.catch(() => {}); // whoever waits for it hears of it
  return { done };
}
