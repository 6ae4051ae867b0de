// Every offload switched off by itself, all of them, and several data threads: the same bytes arrive. TCP in bulk (super-packets both ways), UDP datagrams of
// random sizes in bursts, and packets longer than the MTU.
import { describe, expect, test } from "vitest";
import { OFFLOADS } from "../../src/runtime/offloads.ts";
import { describeRoot, describeWith } from "../peers.ts";
import { eventually } from "./host.ts";
import { answers, type End, inner, tunnel } from "./tunnel.ts";

const MEGABYTES = 24;
const PORT = 7000;

/** Run by Node at the ends; SEED decides all bytes. */
const STREAM = `
  const { createHash } = require("node:crypto"), net = require("node:net");
  const [, mode, address] = process.argv;
  const hash = createHash("sha256");
  if (mode === "serve") {
    const server = net.createServer({ allowHalfOpen: true }, (s) => {
      s.on("data", (d) => hash.update(d));
      s.on("end", () => s.end(hash.digest("hex"), () => server.close()));
    }).listen(${PORT}, "::", () => console.log("ready"));
  } else {
    const s = net.connect(${PORT}, address);
    let block = Buffer.alloc(1 << 20, "seed"), answer = "";
    (async () => {
      for (let i = 0; i < ${MEGABYTES}; i++) {
        block = Buffer.from(block.map((x, j) => x * 31 + j + i));
        hash.update(block);
        if (!s.write(block)) await new Promise((r) => s.once("drain", r));
      }
      s.end();
    })();
    s.on("data", (d) => (answer += d));
    s.on("close", () => console.log(answer === hash.digest("hex") ? "same" : "different: " + answer));
  }`;
/** Echoes datagrams; the client compares each answer with what it sent. */
const DATAGRAMS = `
  const dgram = require("node:dgram"), { randomBytes, randomInt } = require("node:crypto");
  const [, mode, address] = process.argv;
  const s = dgram.createSocket({ type: "udp6", recvBufferSize: 1 << 22 });
  if (mode === "serve") {
    s.on("message", (m, from) => s.send(m, from.port, from.address));
    s.bind(${PORT}, () => console.log("ready"));
  } else {
    const sent = new Map();
    let same = 0, wrong = 0;
    s.on("message", (m) => {
      const key = m.readUInt32LE(0);
      if (sent.get(key)?.equals(m)) same++;
      else wrong++;
      sent.delete(key);
    });
    s.bind(async () => {
      let n = 0;
      for (let burst = 0; burst < 40; burst++) {
        // Some bursts of one size, which offloads merge, some of many.
        const size = burst % 2 ? randomInt(4, 1372) : 0;
        for (let i = 0; i < 25; i++) {
          const m = randomBytes(size || randomInt(4, 3000));
          m.writeUInt32LE(n, 0);
          sent.set(n++, m);
          s.send(m, ${PORT}, address);
        }
        await new Promise((r) => setTimeout(r, 10));
        // No more are under way than queues hold, where both ends wait for a processor. What is lost does not come back.
        for (let i = 0; i < 50 && sent.size > 75; i++) await new Promise((r) => setTimeout(r, 10));
      }
      for (let i = 0; i < 500 && sent.size > 0; i++) await new Promise((r) => setTimeout(r, 10));
      console.log(JSON.stringify({ same, wrong, n }));
      s.close();
    });
  }`;

/** What the client says. */
async function run(script: string, from: End, to: End, address: string): Promise<string> {
  const server = to.host.spawn([process.execPath, "-e", script, "serve"]);
  await eventually(() => {
    if (!server.output().includes("ready")) throw new Error(server.output());
  });
  const said = await from.host.runAsync(process.execPath, "-e", script, "send", address);
  server.child.kill("SIGKILL");
  await server.exit;
  return said.trim();
}

describeRoot("offloads", () => {
  describeWith(["wg", "ping", "tcpdump"], "UDP_SEGMENT", () => {
    test("comes back after the way to a peer was too narrow for its segments", async () => {
      const t = await tunnel({});
      try {
        t.configure();
        answers(t.a, inner(2, 4));
        /** Whether datagrams of several messages go out while bytes stream. */
        const segments = async (): Promise<boolean> => {
          const filter = "udp port 51820 and src host 192.0.2.1 and greater 5000";
          const seen = t.a.host.spawn(["tcpdump", "-i", "eth0", "-n", "-c", "1", "--immediate-mode", filter]);
          await eventually(() => expect(seen.output()).toContain("listening on"));
          expect(await run(STREAM, t.a, t.b, inner(2, 4))).toBe("same");
          seen.child.kill("SIGINT");
          await seen.exit;
          return / IP 192\.0\.2\.1/.test(seen.output());
        };
        expect(await segments()).toBe(true);
        t.a.host.run("ip", "link", "set", "eth0", "mtu", "1300");
        expect(await segments(), "fragments instead").toBe(false);
        t.a.host.run("ip", "link", "set", "eth0", "mtu", "1500");
        t.a.host.run("ping", "-n", "-q", "-f", "-c", "1500", "-W", "1", inner(2, 4));
        expect(await segments()).toBe(true);
      } finally {
        await t.close();
      }
    });
  });
  describeWith(["wg", "ping"], "the same bytes arrive", () => {
    const without = [...Object.keys(OFFLOADS), "all"].map((word) => ({ name: `without ${word}`, env: { TORTIE_WITHOUT: word } }));
    const threads = ["", "parking"].map((word) => ({
      name: `two data threads without "${word}"`,
      env: { TORTIE_THREADS: "2", TORTIE_WITHOUT: word },
    }));
    const cases = [{ name: "all on", env: {} }, ...without, ...threads];
    describe.each(cases)("$name", ({ env }) => {
      test.for([4, 6] as const)("IPv%s outside", async (outer) => {
        const t = await tunnel({ env, outer });
        try {
          t.configure();
          answers(t.a, inner(2, 4));
          answers(t.b, inner(1, 6), 3, "-s", "4000");
          // Inside the other family than outside.
          expect(await run(STREAM, t.a, t.b, inner(2, outer === 4 ? 6 : 4))).toBe("same");
          expect(await run(STREAM, t.b, t.a, inner(1, outer))).toBe("same");
          const { same, wrong, n } = JSON.parse(await run(DATAGRAMS, t.a, t.b, outer === 4 ? `::ffff:${inner(2, 4)}` : inner(2, 6))) as {
            same: number;
            wrong: number;
            n: number;
          };
          expect(wrong).toBe(0);
          // A busy machine may lose some.
          expect(same).toBeGreaterThan(0.9 * n);
        } finally {
          await t.close();
        }
      });
    });
  });
});
