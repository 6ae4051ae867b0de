// On folders that look like the machines that people have; what the check says of this very machine is in test/interop/kernelkeys.test.ts.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { checkProbes, type Machine } from "./probecheck.ts";

const RELEASE = "6.12.1-amd64";
/** struct noise_handshake { int ephemeral_private; } */
const BTF = btf(
  [
    [1, 1 << 24, 4, 32],
    [5, (4 << 24) | 1, 4, 21, 1, 0],
  ].flat(),
  "\0int\0noise_handshake\0ephemeral_private\0",
);
function btf(types: readonly number[], strings: string): Buffer {
  const head = Buffer.alloc(24);
  head.writeUInt16LE(0xeb9f);
  for (const [i, word] of [24, 0, 4 * types.length, 4 * types.length, strings.length].entries()) head.writeUInt32LE(word, 4 + 4 * i);
  return Buffer.concat([head, Buffer.from(Uint32Array.from(types).buffer), Buffer.from(strings)]);
}
const READY: Readonly<Record<string, string | Buffer>> = {
  "/proc/config.gz": gzipSync("#\nCONFIG_KPROBES=y\nCONFIG_KPROBE_EVENTS=y\n"),
  "/proc/kallsyms": "0 t other\n0 t wg_index_hashtable_insert\t[wireguard]\n0 t more\n",
  "/sys/kernel/tracing/README": "",
  "/sys/kernel/tracing/kprobe_events": "",
  "/sys/kernel/security/lockdown": "none [integrity] confidentiality\n",
  "/sys/kernel/security/lsm": "lockdown",
  "/sys/kernel/btf/vmlinux": BTF,
};

describe("checkProbes()", () => {
  let root = "";
  beforeEach(() => (root = mkdtempSync(join(tmpdir(), "tortie-check-"))));
  afterEach(() => rmSync(root, { recursive: true }));
  const look = (files: Readonly<Record<string, string | Buffer | undefined>>, machine: Partial<Machine> = {}): ReturnType<typeof checkProbes> => {
    for (const [path, content] of Object.entries({ ...READY, ...files })) {
      if (content === undefined) continue;
      mkdirSync(dirname(root + path), { recursive: true });
      writeFileSync(root + path, content);
    }
    return checkProbes({ root, uid: 0, processor: "x64", release: RELEASE, ...machine });
  };

  test("everything is there", () => {
    const findings = look({});
    expect(findings.map((f) => f.ok)).toEqual(Array(8).fill(true));
    expect(findings.find((f) => f.what === "WireGuard")!.seen).toBe("loaded as a module");
  });

  type Row = [
    title: string,
    files: Record<string, string | Buffer | undefined>,
    machine: Partial<Machine>,
    what: string,
    seen: RegExp,
    remedy: RegExp,
  ];
  test.for<Row>([
    ["not root", {}, { uid: 1000 }, "user", /user 1000/, /as root/],
    ["a processor whose registers are not known", {}, { processor: "riscv64" }, "processor", /riscv64/, /^$/],
    ["a kernel before WireGuard", {}, { release: "5.4.0" }, "kernel", /5\.4\.0.*5\.6/, /^$/],
    [
      "a kernel without kprobes",
      { "/proc/config.gz": gzipSync("\n# CONFIG_KPROBES is not set\n") },
      {},
      "kprobes",
      /CONFIG_KPROBES and/,
      /another one/,
    ],
    [
      "its configuration in /boot",
      { "/proc/config.gz": undefined, [`/boot/config-${RELEASE}`]: "\nCONFIG_KPROBES=y\n" },
      {},
      "kprobes",
      /^CONFIG_KPROBE_EVENTS not set in \/boot/,
      /another/,
    ],
    [
      "tracefs is not mounted",
      { "/sys/kernel/tracing/README": undefined, "/sys/kernel/tracing/kprobe_events": undefined },
      {},
      "tracefs",
      /not mounted/,
      /^mount -t tracefs/,
    ],
    ["tracefs without kprobe events", { "/sys/kernel/tracing/kprobe_events": undefined }, {}, "tracefs", /without kprobe_events/, /^$/],
    [
      "the module is not loaded",
      { "/proc/kallsyms": "0 t x\n", [`/lib/modules/${RELEASE}/modules.dep`]: "kernel/drivers/net/wireguard/wireguard.ko.xz: a\n" },
      {},
      "WireGuard",
      /not loaded/,
      /^modprobe wireguard$/,
    ],
    [
      "the compiler made another function of it",
      { "/proc/kallsyms": "0 t wg_index_hashtable_insert.constprop.0\t[wireguard]\n" },
      {},
      "WireGuard",
      /only as wg_index_hashtable_insert\.constprop\.0/,
      /another one/,
    ],
    [
      "the function was compiled away",
      { "/proc/kallsyms": "0 t wg_noise_init\t[wireguard]\n", "/sys/module/wireguard/initstate": "live" },
      {},
      "WireGuard",
      /is not in \/proc\/kallsyms: compiled away/,
      /another one/,
    ],
    ["no WireGuard at all", { "/proc/kallsyms": "0 t x_wg_index_hashtable_insert_y\n" }, {}, "WireGuard", /not in this kernel/, /^$/],
    ["locked down", { "/sys/kernel/security/lockdown": "none integrity [confidentiality]\n" }, {}, "lockdown", /confidentiality/, /Boot without/],
  ])("%s", ([, files, machine, what, seen, remedy]) => {
    const missing = look(files, machine).filter((f) => f.ok === false);
    expect(missing.map((f) => f.what)).toEqual([what]);
    expect(missing[0]!.seen).toMatch(seen);
    expect(missing[0]!.remedy).toMatch(remedy);
  });

  test("what cannot be told is no obstacle: no configuration, no securityfs, no types", () => {
    const security = { "/sys/kernel/security/lockdown": undefined, "/sys/kernel/security/lsm": undefined };
    const findings = look({ "/proc/config.gz": undefined, ...security, "/sys/kernel/btf/vmlinux": undefined });
    expect(findings.filter((f) => f.ok === undefined).map((f) => f.what)).toEqual(["kprobes", "lockdown", "offsets"]);
    expect(findings.some((f) => f.ok === false)).toBe(false);
  });
  test.for<[string, Buffer | undefined, RegExp]>([
    ["none", undefined, /^no \/sys\/kernel\/btf: from the table/],
    ["nothing of WireGuard", btf([1, 1 << 24, 4, 32], "\0int\0"), /^\/sys\/kernel\/btf\/vmlinux does not tell WireGuard's types: from the table/],
    ["of a kind that a later kernel made up", btf([1, 30 << 24, 4], "\0int\0"), /kind 30 is unknown: from the table/],
  ])("types: %s", ([, types, seen]) =>
    expect(look({ "/sys/kernel/btf/vmlinux": types }).find((f) => f.what === "offsets")).toMatchObject({
      ok: undefined,
      seen: expect.stringMatching(seen),
    }),
  );
  test("a kernel that has no lockdown", () =>
    expect(look({ "/sys/kernel/security/lockdown": undefined }).find((f) => f.what === "lockdown")).toMatchObject({
      ok: true,
      seen: "this kernel has none",
    }));
  test("built into the kernel", () =>
    expect(look({ "/proc/kallsyms": "0 t wg_index_hashtable_insert\n" }).find((f) => f.what === "WireGuard")!.seen).toBe("built into the kernel"));
});
