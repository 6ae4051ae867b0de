// How a device starts and ends: as wireguard-go does, so that wg-quick and people's habits work.
import { readFileSync, statSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { describeRoot, TORTIE } from "../peers.ts";
import { eventually, Host, type Spawned } from "./host.ts";
import { WG } from "./tunnel.ts";

const SOCKET = "/var/run/wireguard/wg0.sock";
const exists = (host: Host, path: string): boolean => {
  try {
    host.run("test", "-e", path);
    return true;
  } catch {
    return false;
  }
};
const linkExists = (host: Host, name = "wg0"): boolean => {
  try {
    host.run("ip", "link", "show", name);
    return true;
  } catch {
    return false;
  }
};
type Failure = { readonly status: number; readonly stderr: string };
const failure = (run: () => unknown): Failure => {
  try {
    run();
  } catch (e) {
    return e as Failure;
  }
  throw new Error("it did not fail");
};

describeRoot("tortie device", () => {
  let host: Host;
  beforeEach(async () => {
    host = await Host.create();
  });
  afterEach(() => host.close());

  const endings: { name: string; end: (device: Spawned) => unknown }[] = [
    { name: "SIGTERM", end: (d) => d.child.kill("SIGTERM") },
    { name: "SIGINT", end: (d) => d.child.kill("SIGINT") },
    { name: "removal of its socket", end: () => host.run("rm", SOCKET) },
    { name: "deletion of its link", end: () => host.run("ip", "link", "del", "wg0") },
  ];
  test.for(endings)("ends in bounded time on $name, with exit code 0, and leaves neither socket nor link", async ({ end }) => {
    const device = await host.device("tortie", "wg0");
    expect(linkExists(host)).toBe(true);
    end(device);
    const code = await Promise.race([device.exit, new Promise((r) => setTimeout(r, 60_000, "still there after a minute"))]);
    expect(code, device.output()).toBe(0);
    expect(exists(host, SOCKET)).toBe(false);
    expect(linkExists(host)).toBe(false);
  });

  test("refuses to start twice, and replaces the socket of a killed device", async () => {
    const device = await host.device("tortie", "wg0");
    const second = failure(() => host.run(process.execPath, TORTIE, "device", "-f", "wg0"));
    expect(second.status).toBe(1);
    expect(second.stderr).toMatch(/^Cannot .*(in use|another process has it)/);
    expect(second.stderr).not.toMatch(/ at /);
    device.child.kill("SIGKILL");
    await device.exit;
    expect(exists(host, SOCKET)).toBe(true);
    await host.device("tortie", "wg0");
    await eventually(() => host.run(WG, "show", "wg0"));
  });

  test("in the background, returns 0 when the socket listens", async () => {
    host.run(process.execPath, TORTIE, "device", "wg0");
    expect(statSync(host.controlSocket("wg0")).mode & 0o777).toBe(0o700);
    host.run("ip", "link", "set", "wg0", "up");
    host.run("rm", SOCKET);
    await eventually(() => expect(linkExists(host)).toBe(false));
  });

  test("in the background, passes on why it did not start", async () => {
    await host.device("tortie", "wg0");
    const second = failure(() => host.run(process.execPath, TORTIE, "device", "wg0"));
    expect(second.status).toBe(1);
    expect(second.stderr).toMatch(/in use|another process has it/);
  });

  test("attaches to a persistent link, keeps its MTU, and leaves it and its address", async () => {
    host.run("ip", "tuntap", "add", "dev", "wg0", "mode", "tun", "vnet_hdr");
    host.run("ip", "link", "set", "wg0", "mtu", "1380", "up");
    host.run("ip", "addr", "add", "10.9.0.1/24", "dev", "wg0");
    for (const signal of ["SIGKILL", "SIGTERM"] as const) {
      const device = await host.device("tortie", "wg0");
      expect(host.run("ip", "link", "show", "wg0")).toMatch(/mtu 1380/);
      device.child.kill(signal);
      await device.exit;
      expect(host.run("ip", "addr", "show", "wg0")).toMatch(/10\.9\.0\.1/);
    }
    expect(exists(host, SOCKET)).toBe(false);
  });

  test("makes its link with MTU 1420", async () => {
    await host.device("tortie", "wg0");
    expect(host.run("ip", "link", "show", "wg0")).toMatch(/mtu 1420/);
  });

  test("a link that is no TUN is refused in one sentence", () => {
    host.run("ip", "link", "add", "wg0", "type", "veth", "peer", "name", "other");
    const refused = failure(() => host.run(process.execPath, TORTIE, "device", "-f", "wg0"));
    expect([refused.status, refused.stderr]).toEqual([1, 'Cannot make the link "wg0": a link of that name exists and is no plain TUN link\n']);
  });

  test("without /dev/net/tun says so, and how to get it", () => {
    const script = 'mount -t tmpfs none /dev/net && exec "$@"';
    const refused = failure(() => host.run("unshare", "-m", "sh", "-c", script, "sh", process.execPath, TORTIE, "device", "-f", "wg0"));
    expect(refused.status).toBe(1);
    expect(refused.stderr).toMatch(/\/dev\/net\/tun is missing\nmodprobe tun/);
  });

  test("without the rights says so", () => {
    const refused = failure(() => host.run("setpriv", "--bounding-set=-net_admin", process.execPath, TORTIE, "device", "-f", "wg0"));
    expect(refused.status).toBe(1);
    expect(refused.stderr).toMatch(/CAP_NET_ADMIN/);
  });

  test.for(["", "a/b", "x".repeat(16), "a b"])("the name %j is refused", (name) => {
    const refused = failure(() => host.run(process.execPath, TORTIE, "device", "-f", name));
    expect([refused.status, refused.stderr]).toEqual([1, expect.stringMatching(/^Cannot use ".*" as a link's name/)]);
  });

  test("keeps keys out of dumps and swap, and refuses an inspector", async () => {
    const device = await host.device("tortie", "wg0");
    const pid = device.child.pid!;
    expect(readFileSync(`/proc/${pid}/limits`, "utf8")).toMatch(/Max core file size +0 +0/);
    expect(Number(/VmLck:\s+([0-9]+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1])).toBeGreaterThan(1000);
    process.kill(pid, "SIGUSR1");
    const refused = failure(() => host.run(process.execPath, "--inspect=127.0.0.1:0", TORTIE, "device", "-f", "wg1"));
    expect(refused.status).toBe(1);
    expect(refused.stderr).toMatch(/reveal the keys/);
    expect(device.child.exitCode).toBeNull();
    expect(device.output()).not.toMatch(/Debugger listening/);
  });

  test("idle, uses next to no processor time", async () => {
    const device = await host.device("tortie", "wg0");
    host.run("ip", "link", "set", "wg0", "up");
    const ticks = (): number => {
      const fields = readFileSync(`/proc/${device.child.pid}/stat`, "utf8").split(") ")[1]!.split(" ");
      return Number(fields[11]) + Number(fields[12]);
    };
    // Once what is left of its start is done. A tick is 10 ms: at most 1 %.
    await eventually(async () => {
      const before = ticks();
      await new Promise((r) => setTimeout(r, 3000));
      expect(ticks() - before).toBeLessThanOrEqual(3);
    });
  });
});
