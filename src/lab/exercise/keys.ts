// Steps 10, 10b and 11: what a key opens, what it cannot open and why; and a capture that opens by itself.
import { toBase64 } from "../../base/bytes.ts";
import { messagesOf, talk, wireFile } from "./capture.ts";
import { INTERFACE } from "./devices.ts";
import type { Walk } from "./walk.ts";

/** The node's own, kept by its agent for a device that must come back with the same key. */
const STATIC_KEY = `/run/tortie/keys/${INTERFACE}.key`;

type DecryptJson = { sessions?: unknown[]; transport?: number; decrypted?: number };

function parse(text: string): DecryptJson {
  try {
    return JSON.parse(text) as DecryptJson;
  } catch {
    return {};
  }
}

export async function staticKey(walk: Walk): Promise<void> {
  walk.step("10", "decrypt with the node's static private key only");
  const node = walk.node("k8s-w1");
  const got = await walk.type(node, `tortie decrypt ${wireFile(walk)} --keys ${STATIC_KEY}`);
  const who =
    /k8s-w2/.test(got.output) ||
    got.output.includes((await walk.type(walk.node("k8s-w2"), `wg show ${INTERFACE} public-key`, { quiet: true })).output.trim());
  walk.check(who, "what it opens: who spoke to this node, and when", got.output);
  walk.check(/forward secrecy/i.test(got.output), "what it cannot open, and why: forward secrecy", got.output);
  walk.check(/ephemeral/i.test(got.output), "and what is missing", got.output);
  const json = parse((await walk.type(node, `tortie decrypt ${wireFile(walk)} --keys ${STATIC_KEY} -o json`, { quiet: true })).output);
  walk.check(
    (json.sessions?.length ?? 0) > 0 && (json.transport ?? 0) > 0 && json.decrypted === 0,
    "the same as JSON: sessions, transport > 0, decrypted 0",
    json,
  );
}

export async function publicEphemeral(walk: Walk): Promise<void> {
  walk.step("10b", "the same with an ephemeral key as people copy it from Wireshark's view");
  const node = walk.node("k8s-w1");
  const keys = `${walk.directory}/copied.keys`;
  const initiation = messagesOf(wireFile(walk)).find((m) => m.type === 1);
  if (!initiation) return void walk.check(false, "the capture holds a handshake initiation");
  await walk.type(
    node,
    `(umask 077; echo "LOCAL_STATIC_PRIVATE_KEY = $(cat ${STATIC_KEY})" >${keys}; echo "LOCAL_EPHEMERAL_PRIVATE_KEY = ${toBase64(initiation.ephemeral)}" >>${keys})`,
  );
  const got = await walk.type(node, `tortie decrypt ${wireFile(walk)} --keys ${keys}`);
  walk.check(/public/i.test(got.output), "the answer: that is the public half", got.output);
  walk.check(/initiator/i.test(got.output), "of which side: the initiator's", got.output);
  walk.check(/private/i.test(got.output) && /--keys|key ?log|WG_KEYLOGFILE/i.test(got.output), "and what is needed instead", got.output);
}

export async function withKeys(walk: Walk): Promise<void> {
  walk.step("11", "capture with keys: a file that opens by itself");
  const node = walk.node("k8s-w1");
  const file = `${walk.directory}/opened.pcapng`;
  const capture = await walk.begin(node, `tortie capture -i ens5 --keys -w ${file} udp port 51820`);
  await capture.says(/listening on|capturing/i);
  await talk(walk, { handshake: false });
  const ended = await capture.interrupt();
  walk.check(ended.code === 0, "the capture ends with what it has", ended.output);
  const got = await walk.type(node, `tshark -r ${file}`);
  walk.check(
    /ICMP.*Echo \(ping\) request/.test(got.output) && /ICMP.*Echo \(ping\) reply/.test(got.output),
    "the pods' pings are readable, with no set-up",
    got.output,
  );
  const inspected = await walk.type(node, `tortie inspect ${file}`);
  const [one, two] = [walk.pod("pod1").address, walk.pod("pod2").address];
  const [w1, w2] = [node.address, walk.node("k8s-w2").address];
  walk.check(
    [one, two, w1, w2].every((a) => inspected.output.includes(a)),
    "the viewer shows the outer and the inner packet",
    inspected.output,
  );
  await walk.real("tshark", async (tshark) => {
    const real = await walk.type(node, `${tshark} -r ${file} -Y icmp 2>/dev/null | head -n 4`);
    walk.check(/Echo \(ping\) request/.test(real.output), "the real tshark opens it already decrypted", real.output);
  });
}
