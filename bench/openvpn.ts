// OpenVPN between two joined hosts, as the old way to do it: TLS with certificates that are made here and thrown away, pinned by fingerprint; data channel
// ChaCha20-Poly1305 in user space; the inner MTU of the WireGuard tunnels.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually, type Host, type Spawned } from "../test/device/host.ts";

const INNER = ["10.77.0.1", "10.77.0.2"] as const;
const CIPHER = "CHACHA20-POLY1305";

export type Vpn = { readonly pids: readonly number[]; readonly target: string; readonly close: () => void };

/** `hosts` are joined at 192.0.2.1 and 192.0.2.2; they end the processes when they are closed. */
export async function openvpn(program: string, hosts: readonly [Host, Host]): Promise<Vpn> {
  const directory = mkdtempSync(join(tmpdir(), "tortie-bench-"));
  const file = (name: string): string => join(directory, name);
  const close = (): void => rmSync(directory, { recursive: true });
  try {
    const prints = ["a", "b"].map((name) => {
      const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
      const out = ["-keyout", file(`${name}.key`), "-out", file(`${name}.crt`)];
      execFileSync("openssl", ["req", "-x509", ...curve, "-nodes", "-days", "2", "-subj", `/CN=${name}`, ...out], { stdio: "ignore" });
      const text = execFileSync("openssl", ["x509", "-in", file(`${name}.crt`), "-noout", "-fingerprint", "-sha256"], { encoding: "utf8" });
      return text.trim().split("=")[1]!;
    });
    const start = (i: 0 | 1): Spawned => {
      const role = i === 0 ? ["--tls-client", "--remote", "192.0.2.2", "1194"] : ["--tls-server", "--dh", "none"];
      const identity = ["--cert", file(`${"ab"[i]}.crt`), "--key", file(`${"ab"[i]}.key`), "--peer-fingerprint", prints[1 - i]!];
      const data = ["--data-ciphers", CIPHER, "--data-ciphers-fallback", CIPHER, "--disable-dco"];
      const link = ["--dev", "tun0", "--dev-type", "tun", "--proto", "udp4", "--tun-mtu", "1420", "--mssfix", "0", "--txqueuelen", "1000"];
      return hosts[i].spawn([program, ...role, ...identity, ...data, ...link, "--ifconfig", INNER[i], INNER[1 - i]!, "--verb", "3"]);
    };
    const b = start(1);
    const ends = [start(0), b];
    await eventually(() => {
      for (const e of ends) {
        if (e.child.exitCode !== null) throw new Error(`OpenVPN ended: ${e.output()}`);
        if (!e.output().includes("Initialization Sequence Completed")) throw new Error(`OpenVPN is not up: ${e.output()}`);
      }
    }, 30_000);
    for (const e of ends) if (!e.output().includes(`cipher '${CIPHER}'`)) throw new Error(`OpenVPN uses another cipher: ${e.output()}`);
    return { pids: ends.map((e) => e.child.pid!), target: INNER[1], close };
  } catch (e) {
    close();
    throw e;
  }
}
