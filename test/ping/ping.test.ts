// Our ping beside the real one, in a network namespace with a loopback and a link that leads nowhere.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import { describeRoot, find, TORTIE } from "../peers.ts";

const directory = mkdtempSync(join(tmpdir(), "tortie-ping-"));
afterAll(() => rmSync(directory, { recursive: true }));
symlinkSync(TORTIE, join(directory, "ping"));
const ours = `${process.execPath} ${join(directory, "ping")}`;

type Said = { readonly stdout: string; readonly stderr: string; readonly status: number | null };
function inside(command: string): Said {
  const setup = "ip link set lo up; ip link add v0 type veth peer name v1; ip addr add 10.9.9.1/24 dev v0; ip link set v0 up; ip link set v1 up";
  const file = join(directory, "run.sh");
  writeFileSync(file, `${setup}\nexec 2>${join(directory, "err")}\n${command}\n`);
  const ran = spawnSync("unshare", ["-n", "sh", file], { encoding: "utf8" });
  const err = spawnSync("cat", [join(directory, "err")], { encoding: "utf8" }).stdout;
  return { stdout: ran.stdout, stderr: err, status: ran.status };
}
/** Without what differs from run to run. */
const shape = (said: Said): Said => ({
  ...said,
  stdout: said.stdout.replace(/\d+\.\d{3}/g, "T").replace(/time=T|time=[\d.]+|time [\d.]+ms|T\/T\/T\/T/g, "time"),
});

describeRoot("our ping", () => {
  const real = find("ping");
  describe.skipIf(!real)("says what the real one says", () => {
    test.for([
      "-c 2 -i 0.2 127.0.0.1",
      "-c 2 -i 0.2 -q -s 100 127.0.0.1",
      "-c 1 -s 8 127.0.0.1",
      "-c 1 -s 0 127.0.0.1",
      "-n -c 1 ::1",
      "-c 1 -I v0 10.9.9.1",
      "-c 1 -I 10.9.9.1 127.0.0.1",
      "-c 1 -t 3 127.0.0.1",
      "-c 1 -W 4 10.9.9.7",
      "-c 1 -W 0.3 -I v0 255.255.255.254",
      "-c 1 192.0.2.1",
      "-c 3 -w 1 -i 0.6 127.0.0.1",
    ])("ping %s", (args) => {
      const said = (program: string): Said => {
        const all = shape(inside(`${program} ${args}`));
        return { ...all, stderr: all.stderr.replace(/^\S*ping: /, "") };
      };
      // How often it has sent when its time is over depends on when it is given a processor: once more, then.
      for (let n = 0; n < 4 && !isDeepStrictEqual(said(ours), said(real!)); n++);
      expect(said(ours)).toEqual(said(real!));
    });
  });
  test("1,000 requests at 200/s: none lost, and the rate holds", () => {
    let took = 0;
    // A busy machine may let it wait at the very end: five times over is no accident.
    for (let n = 0; n < 5 && Math.abs(took - 4995) > 150; n++) {
      const { stdout, status } = inside(`${ours} -q -c 1000 -i 0.005 127.0.0.1`);
      const [, time] = /1000 packets transmitted, 1000 received, 0% packet loss, time (\d+)ms/.exec(stdout) ?? [];
      expect(status, stdout).toBe(0);
      took = Number(time);
    }
    expect(took).toEqual(expect.closeTo(4995, -2.5));
  });
  test("-o json: counts and times for programs, and the same exit codes", () => {
    const some = inside(`${ours} -c 2 -i 0.2 -o json 127.0.0.1`);
    const ms = expect.any(Number) as number;
    expect([some.status, some.stderr, JSON.parse(some.stdout)]).toEqual([
      0,
      "",
      {
        destination: "127.0.0.1",
        address: "127.0.0.1",
        transmitted: 2,
        received: 2,
        duplicates: 0,
        errors: 0,
        lossPercent: 0,
        milliseconds: { min: ms, avg: ms, max: ms, mdev: ms },
      },
    ]);
    const none = inside(`${ours} -c 1 -W 0.3 -I v0 -o json 255.255.255.254`);
    expect([none.status, JSON.parse(none.stdout)]).toEqual([1, expect.objectContaining({ received: 0, lossPercent: 100, milliseconds: null })]);
  });
  test.for([
    ["--node w1 -s 100 127.0.0.1", /^ping: cannot use -s with --node\nIt takes -c, -o json and --kubeconfig\.$/m],
    ["--node w1 localhost", /^ping: cannot ping "localhost" from node "w1": it must be an IP address$/m],
    ["--kubeconfig k 127.0.0.1", /^ping: --kubeconfig is for --node$/m],
    ["-o yaml 127.0.0.1", /^Cannot print as "yaml": json, or nothing for text$/m],
  ] as const)("ping %s is refused in words", ([args, words]) =>
    expect(inside(`${ours} ${args}`)).toMatchObject({ status: 2, stderr: expect.stringMatching(words) as string }),
  );
  test("SIGINT prints the summary", () => {
    const out = join(directory, "out");
    writeFileSync(out, "");
    const { stdout, status } = inside(
      `${ours} -i 0.2 127.0.0.1 >${out} & P=$!\nuntil grep -q seq=2 ${out}; do sleep 0.05; done\nkill -INT $P\nwait $P; S=$?; cat ${out}; exit $S`,
    );
    expect([status, stdout]).toEqual([
      0,
      expect.stringMatching(/\n--- 127\.0\.0\.1 ping statistics ---\n\d packets transmitted, \d received, 0% packet loss/),
    ]);
  });
  test("flood", () => {
    const { stdout } = inside(`${ours} -f -q -c 500 127.0.0.1`);
    expect(stdout).toMatch(/500 packets transmitted, 500 received.*\n.*ipg\/ewma/);
  });
  test("what cannot be done ends with 2", () => {
    expect(["nohost.invalid", "-c x 127.0.0.1", "-c 1 -I nope 127.0.0.1", ""].map((args) => inside(`${ours} ${args}`).status)).toEqual([2, 2, 2, 2]);
  });
});
