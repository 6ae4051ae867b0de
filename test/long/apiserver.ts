// The fuzzers of the API on a real server, and clients that mean harm for as long as the server lets them: who trickles, does not read or says nothing is
// closed after its minute.
import { forAWhile, fuzz } from "../../src/base/random.cases.ts";
import { type FuzzSend, objects, patches, requests } from "../../src/apiserver/fuzz.cases.ts";
import { request } from "node:http";
import { change, closed, deaf, describeSuffered, manyNodes, raw, residentMb, silentConnections, suffer } from "../apiserver/hostile.ts";
import { ServerHome } from "../apiserver/process.ts";
import type { Scenario } from "./main.ts";

const MEMORY_LIMIT_MB = 400;
/** Headers and answers have a minute; Node looks every half. */
const CLOSED_MS = 120_000;

const overSocket =
  (socketPath: string): FuzzSend =>
  (method, path, headers, body) =>
    new Promise((resolve, reject) => {
      const r = request(
        {
          socketPath,
          method,
          path: path.replaceAll(/[^\x21-\x7e]/g, encodeURIComponent),
          headers: { ...headers, "content-length": Buffer.byteLength(body) },
        },
        (response) => {
          const watching = /[?&]watch=(1|true|True|TRUE|t)\b/.test(path) && response.headers["content-length"] === undefined;
          const parts: Buffer[] = [];
          const answer = (text: string): void =>
            resolve({ code: response.statusCode ?? 0, headers: response.headers as Record<string, string | undefined>, body: text });
          if (watching) {
            answer("");
            response.destroy();
            return;
          }
          response.on("data", (d: Buffer) => parts.push(d));
          response.on("end", () => answer(Buffer.concat(parts).toString()));
          response.on("error", reject);
        },
      );
      r.on("error", reject);
      r.end(body);
    });

export const apiserver: Scenario = {
  name: "the API server: fuzzers from its OpenAPI documents, and clients that mean harm",
  minutes: 3.5,
  async run(minutes) {
    const home = new ServerHome();
    try {
      const { child } = await home.start();
      const pid = child.pid!;
      const seed = Date.now() & 0xffffff;
      const before = residentMb(pid);
      const send = overSocket(home.socket);
      const counts: string[] = [];
      const each = ((minutes - 3) * 60_000) / 3;
      for (const fuzzer of [objects(send), patches(send), requests(send)]) counts.push(`${await fuzz(fuzzer, seed, forAWhile(each))} ${fuzzer.name}`);
      await manyNodes(home, 100, 16_384);
      const suffered = await suffer(home, pid, async () => {
        const sockets = [
          ...(await silentConnections(home, 7000)),
          ...(await deaf(home, 50, "/api/v1/nodes")),
          ...(await deaf(home, 100, "/api/v1/nodes?watch=true")),
        ];
        const slow = raw(home);
        slow.resume();
        slow.write("GET / HTTP/1.1\r\nHost: x\r\nX: ");
        const trickling = setInterval(() => void slow.write("y"), 1000);
        await change(home, "n0", 1000, 16_384);
        // A paused socket does not see its end.
        const late = setTimeout(() => sockets.forEach((s) => s.resume()), CLOSED_MS);
        const all = await Promise.race([
          Promise.all([...sockets, slow].map(closed)).then(() => true),
          new Promise<false>((resolve) => setTimeout(() => resolve(false), CLOSED_MS + 30_000)),
        ]);
        clearTimeout(late);
        clearInterval(trickling);
        const open = sockets.filter((s) => !s.destroyed).length;
        for (const socket of [...sockets, slow]) socket.destroy();
        if (!all) throw new Error(`${open} connections are still open`);
      });
      if (suffered.refused.length > 0) throw new Error(`others were refused: ${suffered.refused.slice(0, 3).join("; ")}`);
      const grown = Math.max(suffered.grown, residentMb(pid) - before);
      if (grown > MEMORY_LIMIT_MB) throw new Error(`seed ${seed}: memory grew by ${grown.toFixed(0)} MiB`);
      return `${counts.join(", ")}: nothing broken (seed ${seed}); ${describeSuffered(suffered)}`;
    } finally {
      await home.remove();
    }
  },
};
