// exec from a page: the library in Chromium, which stands in the lab's network, on the real server, in a pod of the lab. What says who asks is a token in the
// WebSocket's subprotocols: a page cannot set headers there.
import { afterAll, beforeAll, expect, test } from "vitest";
import { ACCESS_TOKEN } from "../../src/api/accesstoken.ts";
import { hashOf, newToken } from "../../src/apiserver/identity/token.ts";
import { connectToSocket } from "../../src/client/node.ts";
import { enterMember, nodeOf } from "../../src/lab/enter.ts";
import { type LabHandle, startLab } from "../../src/lab/handle.ts";
import { bundle, Chromium, type Page } from "../examples/chromium.ts";
import { describeRoot, describeWith, TORTIE } from "../peers.ts";

const SERVER = "https://192.168.10.1:6443";
const SCRIPT = `
import { exec, fetchTransport } from "tortie/client";
const text = (pieces) => new Blob(pieces).text();
globalThis.run = async (token, options, input, sizes) => {
  const transport = fetchTransport({ url: ${JSON.stringify(SERVER)}, token: () => token });
  const [out, err] = [[], []];
  const once = async function* (values) { yield* values; };
  const code = await exec(transport, {
    namespace: "default", pod: "pod1", ...options,
    ...(input === undefined ? {} : { stdin: once(input.map((t) => new TextEncoder().encode(t))) }),
    ...(sizes === undefined ? {} : { sizes: once(sizes) }),
    stdout: (d) => void out.push(d.slice()), stderr: (d) => void err.push(d.slice()),
  });
  return { code, out: await text(out), err: await text(err) };
};
`;

describeRoot("exec from a page", () =>
  describeWith(["chromium-headless-shell"], "in Chromium", () => {
    let handle: LabHandle;
    let browser: Chromium;
    let page: Page;
    const token = newToken();
    beforeAll(async () => {
      handle = await startLab({ main: TORTIE, outlives: false });
      const admin = connectToSocket(handle.lab.apiSocket);
      await admin.create(ACCESS_TOKEN, {
        apiVersion: "tortie.io/v1",
        kind: "AccessToken",
        metadata: { name: token.id },
        spec: { role: "admin", user: "page", hash: hashOf(token.bearer), expires: `${new Date(Date.now() + 3_600_000).toISOString().slice(0, 19)}Z` },
      });
      await admin.close();
      // The lab's authority is nobody's to this browser.
      browser = new Chromium({ within: enterMember(handle.lab, nodeOf(handle.lab, "k8s-m")), flags: ["--ignore-certificate-errors"] });
      // Any document of the server's will do: what matters is the page's origin.
      page = await browser.open(`${SERVER}/version`);
      await page.evaluate(`${bundle(SCRIPT)}; undefined`);
    });
    afterAll(async () => {
      await browser?.close();
      await handle?.stop();
    });

    const run = (options: object, input?: string[], sizes?: object[], bearer = token.bearer): Promise<unknown> =>
      page.evaluate(`run(${[bearer, options, input, sizes].map((v) => JSON.stringify(v) ?? "undefined").join(", ")})`);

    test("input, both outputs, the exit code, the pod's own name", async () => {
      expect(await run({ command: ["sh", "-c", "cat; hostname; echo err >&2; exit 7"] }, ["one ", "two\n"])).toEqual({
        code: 7,
        out: "one two\npod1\n",
        err: "err\n",
      });
    });

    test("a terminal of the page's size", async () => {
      const { out } = (await run(
        { command: ["sh", "-c", "until stty size | grep -q '33 101'; do sleep 0.1; done; stty size"], tty: true },
        undefined,
        [{ width: 101, height: 33 }],
      )) as { out: string };
      expect(out).toBe("33 101\r\n");
    });

    test("megabytes both ways, whole", async () => {
      const piece = "0123456789abcdef".repeat(4096);
      const { code, out } = (await run(
        { command: ["cat"] },
        Array.from({ length: 50 }, () => piece),
      )) as { code: number; out: string };
      expect([code, out.length, out === piece.repeat(50)]).toEqual([0, 50 * piece.length, true]);
    });

    test("who is nobody is refused; a browser does not say why", async () => {
      const why = `Cannot open a stream to ${SERVER}: it was refused, or the connection failed`;
      await expect(run({ command: ["true"] }, undefined, undefined, "nobody.knows")).rejects.toThrow(why);
      await expect(run({ command: ["true"], pod: "nope" })).rejects.toThrow(why);
      expect(await run({ command: ["true"] })).toEqual({ code: 0, out: "", err: "" });
    });
  }),
);
