// Real programs as peers. A missing one is said aloud, with the Debian package that brings it, and its tests count as skipped, never as passed.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { describe } from "vitest";

const PACKAGES = {
  wg: "wireguard-tools (apt-get install --no-install-recommends wireguard-tools)",
  "wg-quick": "wireguard-tools (apt-get install --no-install-recommends wireguard-tools)",
  "wireguard-go": "wireguard-go",
  tcpdump: "tcpdump",
  tshark: "tshark",
  capinfos: "wireshark-common",
  editcap: "wireshark-common",
  kubectl: "kubernetes-client, or scripts/peers for a current one",
  etcd: "etcd-server of a release after Debian 12; scripts/peers brings it",
  etcdctl: "etcd-client; scripts/peers brings it",
  "kubernetes-apiserver": "none: scripts/kubernetes builds it",
  openssl: "openssl",
  ping: "iputils-ping",
  iperf3: "iperf3",
  openvpn: "openvpn",
  nft: "nftables",
  strace: "strace",
  "chromium-headless-shell": "chromium-headless-shell (apt-get install --no-install-recommends chromium-headless-shell)",
  tmux: "tmux",
  busybox: "busybox-static",
  zstd: "zstd",
  "qemu-system-x86_64": "qemu-system-x86",
  "qemu-system-aarch64": "qemu-system-arm",
} as const;
export type Program = keyof typeof PACKAGES;

/** Where scripts/peers puts the current releases; Debian's own come after. */
export const peersDirectory: string = join(process.env.PEERS ?? join(process.env.HOME ?? "/root", ".cache/tortie-peers"), "bin");

/** Path of a program: a current one from scripts/peers first unless `debian` is asked for. */
export function find(program: Program, options: { debian?: boolean } = {}): string | undefined {
  const path = [...(options.debian ? [] : [peersDirectory]), ...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  return path.map((d) => join(d, program)).find((p) => existsSync(p));
}

/** describe() for tests that need these programs; skipped aloud when one is missing. */
export function describeWith(programs: readonly Program[], title: string, body: () => void): void {
  const missing = programs.filter((p) => !find(p));
  if (missing.length === 0) return void describe(title, body);
  describe.skip(`${title} [skipped: no ${missing.join(", ")} here; Debian package: ${missing.map((p) => PACKAGES[p]).join("; ")}]`, body);
}

/** describe() for tests that need root and /dev/net/tun. */
export function describeRoot(title: string, body: () => void): void {
  if (process.getuid?.() === 0 && existsSync("/dev/net/tun")) return void describe(title, body);
  describe.skip(`${title} [skipped: needs root and /dev/net/tun]`, body);
}

/** The built program. */
export const TORTIE: string = new URL("../dist/cli/main.js", import.meta.url).pathname;
/** Runs the built program to its end and gives what it printed. */
export const tortie = (...args: string[]): string => execFileSync(process.execPath, [TORTIE, ...args], { encoding: "utf8" });
