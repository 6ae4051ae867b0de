// What the scenarios share: three hosts, keys, and short words for what the kernel's own test script types (tools/testing/selftests/wireguard/netns.sh,
// whose names for hosts, keys and addresses are kept). The device under test is ours, or what SCENARIO_DEVICE names: the same scenarios then judge
// another userspace device.
import { Host, eventually, type Spawned } from "../device/host.ts";
import { newKey, newPsk, publicOf, WG } from "../device/tunnel.ts";

/** "tortie", or the path of a wireguard-go. */
export const SUBJECT: string = process.env.SCENARIO_DEVICE ?? "tortie";

export type Keys = {
  readonly key: readonly [string, string, string, string];
  readonly pub: readonly [string, string, string, string];
  readonly psk: string;
};
export function newKeys(): Keys {
  const key = [newKey(), newKey(), newKey(), newKey()] as const;
  return { key, pub: [publicOf(key[0]), publicOf(key[1]), publicOf(key[2]), publicOf(key[3])], psk: newPsk() };
}

/** `ip LINE` in the host. */
export const ip = (host: Host, line: string): string => host.run("ip", ...line.split(" "));
/** `wg …` in the host, without the last newline. */
export const wg = (host: Host, ...words: string[]): string => host.run(WG, ...words).trim();
/** `wg set IF …`, where a word `@TEXT` becomes the name of a file that holds TEXT. */
export function wgSet(host: Host, name: string, ...words: string[]): void {
  wg(host, "set", name, ...words.map((w, i) => (w.startsWith("@") ? host.write(`secret${i}`, `${w.slice(1)}\n`) : w)));
}
export const nft = (host: Host, rules: string): string => host.run("nft", "-f", host.write("rules.nft", rules));
/** Writes /proc/sys/net/PATH. */
export const sysctl = (host: Host, path: string, value: number): string => host.run("sh", "-c", `echo ${value} > /proc/sys/net/${path}`);

/** Something listens on this UDP port of the host: a device hears a little later that its link is up. */
export const listening = (host: Host, port: number): Promise<void> =>
  eventually(() => {
    if (host.run("ss", "-Hunl", `sport = :${port}`) === "") throw new Error(`nobody listens on UDP port ${port}`);
  });

/** What arrives on a UDP port of the host, as text. */
export async function listener(host: Host, port: number): Promise<Spawned> {
  const script = `require("dgram").createSocket("udp4").on("message", (m) => process.stdout.write(m)).bind(${port})`;
  const spawned = host.spawn([process.execPath, "-e", script]);
  await listening(host, port);
  return spawned;
}
/** Sends one UDP packet of text. */
export const sendUdp = (host: Host, address: string, port: number, text: string): string =>
  host.run("bash", "-c", `printf %s '${text}' > /dev/udp/${address}/${port}`);

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Three hosts; close() leaves nothing of them. */
export async function hosts(): Promise<{ n0: Host; n1: Host; n2: Host; close: () => Promise<void> }> {
  const [n0, n1, n2] = await Promise.all([Host.create(), Host.create(), Host.create()]);
  return { n0, n1, n2, close: async () => void (await Promise.all([n0, n1, n2].map((h) => h.close()))) };
}

/** The addresses, keys and allowed IPs that netns.sh gives the two ends, and both links up. No endpoints yet. */
export function configurePeers(n1: Host, n2: Host, { key, pub, psk }: Keys): void {
  for (const [host, n, other] of [
    [n1, 1, 2],
    [n2, 2, 1],
  ] as const) {
    ip(host, `addr replace 192.168.241.${n}/24 dev wg0`);
    ip(host, `addr replace fd00::${n}/112 dev wg0 nodad`);
    const allowed = `192.168.241.${other}/32,fd00::${other}/128`;
    wgSet(
      host,
      "wg0",
      "private-key",
      `@${key[n - 1]!}`,
      "listen-port",
      String(n),
      "peer",
      pub[other - 1]!,
      "preshared-key",
      `@${psk}`,
      "allowed-ips",
      allowed,
    );
    ip(host, "link set wg0 up");
  }
}

/** wg0 of both hosts, their sockets in host 0; neither keys nor addresses yet. */
export async function onLoopback(program: string, n0: Host, n1: Host, n2: Host): Promise<void> {
  for (const host of [n1, n2]) {
    await host.device(program, "wg0", {}, n0);
    ip(n0, `link set wg0 netns ${host.pid}`);
  }
}

/** A second pair of devices, wg1, whose packets go through wg0; it takes over the addresses. `back`: where host 2 finds host 1's wg0. */
export async function secondPair(n1: Host, n2: Host, { key, pub, psk }: Keys, back: string, program: string = SUBJECT): Promise<void> {
  for (const [host, n, other] of [
    [n1, 1, 2],
    [n2, 2, 1],
  ] as const) {
    ip(host, "addr flush dev wg0");
    ip(host, `addr add fd00::5:${n}/112 dev wg0 nodad`);
    const outer = ["allowed-ips", `fd00::5:${other}/128`, "endpoint", n === 1 ? "127.0.0.1:2" : back];
    wgSet(host, "wg0", "private-key", `@${key[n - 1]!}`, "peer", pub[other - 1]!, "preshared-key", `@${psk}`, ...outer);
    await host.device(program, "wg1");
    ip(host, `addr add 192.168.241.${n}/24 dev wg1`);
    ip(host, `addr add fd00::${n}/112 dev wg1 nodad`);
    const inner = ["allowed-ips", `192.168.241.${other}/32,fd00::${other}/128`, "endpoint", `[fd00::5:${other}]:5`];
    wgSet(host, "wg1", "listen-port", "5", "private-key", `@${key[n + 1]!}`, "peer", pub[other + 1]!, ...inner);
    ip(host, "link set mtu 1340 up dev wg1");
    await listening(host, 5);
  }
}

/** Endpoint of a peer as `wg show` has it. */
export const endpointOf = (host: Host, name: string, pub: string): string | undefined =>
  wg(host, "show", name, "endpoints")
    .split("\n")
    .find((l) => l.startsWith(pub))
    ?.split("\t")[1];
/** Bytes of the first peer. */
export function transfer(host: Host, name: string): { rx: number; tx: number } {
  const [, rx, tx] = wg(host, "show", name, "transfer").split("\n")[0]!.split("\t").map(Number);
  return { rx: rx!, tx: tx! };
}
