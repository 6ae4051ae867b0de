// Ports for servers that are started again at the same place. The kernel gives nobody else a port below 32768 of its own accord (ip_local_port_range), so
// none of these is taken by another test's connection while its server is away.
import { randomInt } from "node:crypto";
import { createServer } from "node:net";

const [FROM, TO] = [10_000, 32_000];

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });

/** TCP ports on 127.0.0.1 where nobody listens. */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>();
  while (found.size < count) {
    const port = randomInt(FROM, TO);
    if (await isFree(port)) found.add(port);
  }
  return [...found];
}
