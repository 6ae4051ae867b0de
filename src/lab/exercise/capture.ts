// Steps 8 and 9: a capture on the wire while pods talk, and what it shows to whoever has no keys.
import { readFileSync } from "node:fs";
import { readCapture } from "../../capture/reader.ts";
import { decode } from "../../packet/decode.ts";
import { fromBase64 } from "../../base/bytes.ts";
import { parseMessage, type WireGuardMessage } from "../../capture/message.ts";
import { forceHandshake, INTERFACE } from "./devices.ts";
import type { Walk } from "./walk.ts";

export const wireFile = (walk: Walk): string => `${walk.directory}/calico-wireguard.pcap`;

/** The WireGuard messages of a capture, in order. */
export const messagesOf = (file: string): WireGuardMessage[] =>
  readCapture(readFileSync(file)).packets.flatMap((p) => {
    const udp = decode(p.data, p.iface.link).find((layer) => layer.kind === "udp");
    const message = udp && parseMessage(p.data.subarray(udp.at + udp.length, udp.end));
    return message ? [message] : [];
  });

/** Pings pod2 from pod1, after k8s-w2 has asked k8s-w1 for a fresh handshake. */
export async function talk(walk: Walk, options: { handshake: boolean }): Promise<void> {
  if (options.handshake) {
    // WireGuard renews a session after two minutes: a capture of a second holds a handshake only if one is asked for.
    const key = await walk.type(walk.node("k8s-w1"), `wg show ${INTERFACE} public-key`, { quiet: true });
    await forceHandshake(walk.lab, walk.node("k8s-w2"), [fromBase64(key.output.trim())!]);
    walk.note("k8s-w2's device was asked for a fresh handshake with k8s-w1, so that the capture holds one");
  }
  await walk.type(walk.pod("pod1"), `ping -c 5 -i 0.2 ${walk.pod("pod2").address}`);
}

export async function tcpdump(walk: Walk): Promise<void> {
  walk.step("8", "capture on the wire");
  const node = walk.node("k8s-w1");
  const file = wireFile(walk);
  const mistyped = await walk.type(node, `tcpdump -i ens5 udp 51820 -w ${file}`);
  walk.check(
    mistyped.code !== 0 && /did you mean.*udp port 51820/i.test(mistyped.output),
    "`udp 51820` is answered: did you mean `udp port 51820`?",
    mistyped.output,
  );
  const dump = await walk.begin(node, `tcpdump -i ens5 udp port 51820 -w ${file}`);
  await dump.says(/listening on/);
  await talk(walk, { handshake: true });
  const ended = await dump.interrupt();
  walk.check(ended.code === 0, "tcpdump ends with what it captured", ended.output);
  const types = messagesOf(file).map((m) => m.type);
  for (const [type, name] of [
    [1, "handshake initiation"],
    [2, "handshake response"],
    [4, "transport data"],
  ] as const)
    walk.check(types.includes(type), `${name}: ${types.filter((t) => t === type).length}`, types);
  const icmp = await walk.type(node, `tcpdump -n -r ${file} icmp`);
  walk.check(!/ICMP/.test(icmp.output), "no ICMP of the pods", icmp.output);
  await walk.real("tcpdump", async (real) => {
    const all = await walk.type(node, `${real} -n -r ${file} 2>/dev/null | head -n 4`);
    walk.check(all.output.split("\n").length > 3 && /UDP/.test(all.output), "the real tcpdump reads our file", all.output);
    const own = await walk.type(node, `${real} -n -r ${file} icmp 2>/dev/null`);
    walk.check(own.code === 0 && own.output === "", "and finds no ICMP in it either", own.output);
  });
}

export async function view(walk: Walk): Promise<void> {
  walk.step("9", "open the capture");
  const node = walk.node("k8s-w1");
  const file = wireFile(walk);
  const got = await walk.type(node, `tshark -r ${file}`);
  const messages = messagesOf(file);
  const lines = got.output
    .trimEnd()
    .split("\n")
    .filter((l) => /\bWireGuard\b/.test(l));
  walk.check(lines.length === messages.length, `${messages.length} WireGuard frames`, got.output);
  walk.check(
    lines.some((l) => /Handshake Initiation, sender=0x/.test(l)) && lines.some((l) => /Handshake Response, sender=0x\w+, receiver=0x/.test(l)),
    "handshakes with message type, sender and receiver index",
    got.output,
  );
  walk.check(
    lines.some((l) => /Transport Data, receiver=0x\w+, counter=\d+, datalen=\d+/.test(l)),
    "transport data with receiver index, counter and length",
    got.output,
  );
  const inspected = await walk.type(node, `tortie inspect ${file}`);
  walk.check(inspected.code === 0 && /initiation/i.test(inspected.output), "the product's own viewer opens it too", inspected.output);
  await walk.real("tshark", async (tshark) => {
    const real = await walk.type(node, `${tshark} -r ${file} -T fields -e wg.type 2>/dev/null`, { quiet: true });
    const same = real.output.trim().split("\n").join() === messages.map((m) => m.type).join();
    walk.check(same, "the real tshark finds the same messages in the same order", real.output);
  });
}
