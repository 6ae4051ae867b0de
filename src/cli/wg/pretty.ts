// `wg show` for people: byte for byte wg(8)'s, colours included.
import { toBase64 } from "../../base/bytes.ts";
import { formatCidr } from "../../base/cidr.ts";
import { formatUapiEndpoint } from "../../uapi/codec.ts";
import type { PeerState } from "../../uapi/types.ts";
import { isSet, publicKeyOf } from "./key.ts";
import type { Device } from "./show.ts";
import type { Paint } from "./words.ts";

const UNITS: readonly (readonly [string, number])[] = [
  ["year", 365 * 86_400],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];

/** "1 minute, 5 seconds" with the units painted. */
function duration(seconds: number, p: Paint): string {
  const parts: string[] = [];
  let left = seconds;
  for (const [name, size] of UNITS) {
    const n = Math.floor(left / size);
    left %= size;
    if (n > 0) parts.push(`${n} ${p("cyan")}${name}${n === 1 ? "" : "s"}${p("reset")}`);
  }
  return parts.join(", ");
}

function ago(then: number, nowMs: number, p: Paint): string {
  const seconds = Math.floor(nowMs / 1000) - then;
  if (seconds === 0) return "Now";
  if (seconds < 0) return `(${p("red")}System clock wound backward; connection problems may ensue.${p("reset")})`;
  return `${duration(seconds, p)} ago`;
}

function bytes(n: number | bigint, p: Paint): string {
  let value = Number(n);
  if (value < 1024) return `${n} ${p("cyan")}B${p("reset")}`;
  let unit = "";
  for (const u of ["KiB", "MiB", "GiB", "TiB"]) {
    if (unit !== "" && value < 1024) break;
    value /= 1024;
    unit = u;
  }
  return `${value.toFixed(2)} ${p("cyan")}${unit}${p("reset")}`;
}

const newestFirst = (a: PeerState, b: PeerState): number => b.lastHandshakeSec - a.lastHandshakeSec || b.lastHandshakeNsec - a.lastHandshakeNsec;

/** Ours: wg(8) knows of no such thing. Loud, because whoever has the keys reads the traffic. */
const keylogText = ({ readers, records }: NonNullable<Device["keylog"]>, p: Paint): string =>
  `${p("red")}on${p("reset")}, ${readers} ${readers === 1 ? "reader" : "readers"}, ${records} ${records === 1 ? "handshake" : "handshakes"} so far`;

/** The form of `wg show IF`. `nowMs` is wall time. */
export function pretty(name: string, device: Device, p: Paint, nowMs: number): string {
  const showKeys = process.env.WG_HIDE_KEYS === "never";
  const lines: string[] = [];
  const line = (label: string, value: string): void => void lines.push(`  ${p("bold")}${label}${p("reset")}: ${value}`);
  const secret = (key: Uint8Array): string => (showKeys ? toBase64(key) : "(hidden)");

  lines.push(`${p("reset")}${p("green", "bold")}interface${p("reset")}: ${p("green")}${name}${p("reset")}`);
  if (device.privateKey) {
    line("public key", toBase64(publicKeyOf(device.privateKey)));
    line("private key", secret(device.privateKey));
  }
  if (device.listenPort !== 0) line("listening port", String(device.listenPort));
  if (device.fwmark !== 0) line("fwmark", `0x${device.fwmark.toString(16)}`);
  if (device.keylog) line("key log", keylogText(device.keylog, p));

  for (const peer of device.peers.toSorted(newestFirst)) {
    lines.push("", `${p("yellow", "bold")}peer${p("reset")}: ${p("yellow")}${toBase64(peer.publicKey)}${p("reset")}`);
    if (isSet(peer.presharedKey)) line("preshared key", secret(peer.presharedKey));
    if (peer.endpoint) line("endpoint", formatUapiEndpoint(peer.endpoint));
    const allowed = [...peer.allowedIps].map((a) => formatCidr(a).replace("/", `${p("cyan")}/${p("reset")}`));
    line("allowed ips", allowed.join(", ") || "(none)");
    if (peer.lastHandshakeSec !== 0) line("latest handshake", ago(peer.lastHandshakeSec, nowMs, p));
    if (peer.rxBytes || peer.txBytes) line("transfer", `${bytes(peer.rxBytes, p)} received, ${bytes(peer.txBytes, p)} sent`);
    if (peer.persistentKeepalive !== 0) line("persistent keepalive", `every ${duration(peer.persistentKeepalive, p)}`);
  }
  return `${lines.join("\n")}\n`;
}
