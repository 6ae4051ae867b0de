// `wg show`: fields, dump and the choice of interfaces. The form for people is in pretty.ts.
import { toBase64, wipe } from "../../base/bytes.ts";
import { formatCidr } from "../../base/cidr.ts";
import { TortieError } from "../../base/errors.ts";
import { connect, listInterfaces, type UapiConnection, UapiError } from "../../uapi/client.ts";
import { formatUapiEndpoint } from "../../uapi/codec.ts";
import { Errno, type PeerState } from "../../uapi/types.ts";
import { base64OrNone, publicKeyOf } from "./key.ts";
import { pretty } from "./pretty.ts";
import { failure, paint, reasonOf, warn } from "./words.ts";

export type Device = Awaited<ReturnType<UapiConnection["get"]>>;

/** A connection to the device of an interface; never to a path. */
export function reach(name: string): Promise<UapiConnection> {
  if (name.includes("/")) throw new UapiError(`reach the device "${name}"`, Errno.ENODEV);
  return connect(name);
}

/** Reads a device and wipes its secrets after `use`. */
export async function withDevice<T>(name: string, use: (device: Device) => T): Promise<T> {
  const connection = await reach(name);
  try {
    const device = await connection.get();
    try {
      return use(device);
    } finally {
      wipe(device.privateKey, ...device.peers.map((p) => p.presharedKey));
    }
  } finally {
    connection.close();
  }
}

const fwmark = (n: number): string => (n === 0 ? "off" : `0x${n.toString(16)}`);
const endpoint = (p: PeerState): string => (p.endpoint ? formatUapiEndpoint(p.endpoint) : "(none)");
const keepalive = (p: PeerState): string => (p.persistentKeepalive === 0 ? "off" : String(p.persistentKeepalive));
const allowed = (p: PeerState, separator: string): string => [...p.allowedIps].map(formatCidr).join(separator) || "(none)";
const publicKey = (d: Device): string => (d.privateKey ? toBase64(publicKeyOf(d.privateKey)) : "(none)");
const each = (d: Device, value: (p: PeerState) => string): string[] => d.peers.map((p) => `${toBase64(p.publicKey)}\t${value(p)}`);

/** The lines of each field, in the order of the usage text. */
export const FIELDS: Readonly<Record<string, (d: Device) => string[]>> = {
  "public-key": (d) => [publicKey(d)],
  "private-key": (d) => [base64OrNone(d.privateKey)],
  "listen-port": (d) => [String(d.listenPort)],
  fwmark: (d) => [fwmark(d.fwmark)],
  peers: (d) => d.peers.map((p) => toBase64(p.publicKey)),
  "preshared-keys": (d) => each(d, (p) => base64OrNone(p.presharedKey)),
  endpoints: (d) => each(d, endpoint),
  "allowed-ips": (d) => each(d, (p) => allowed(p, " ")),
  "latest-handshakes": (d) => each(d, (p) => String(p.lastHandshakeSec)),
  transfer: (d) => each(d, (p) => `${p.rxBytes}\t${p.txBytes}`),
  "persistent-keepalive": (d) => each(d, keepalive),
  dump: (d) => [
    [base64OrNone(d.privateKey), publicKey(d), d.listenPort, fwmark(d.fwmark)].join("\t"),
    ...each(d, (p) =>
      [base64OrNone(p.presharedKey), endpoint(p), allowed(p, ","), p.lastHandshakeSec, p.rxBytes, p.txBytes, keepalive(p)].join("\t"),
    ),
  ],
};

export const SHOW_USAGE: string = `{ <interface> | all | interfaces } [${Object.keys(FIELDS).join(" | ")}]`;

export type Usage = () => number;

/** `wg show [IF|all|interfaces] [FIELD]` */
export async function show(args: readonly string[], usage: Usage): Promise<number> {
  const [which = "all", field, ...rest] = args;
  if (rest.length > 0) return usage();
  if (which === "interfaces") {
    if (field !== undefined) return usage();
    const names = await listInterfaces();
    if (names.length > 0) process.stdout.write(`${names.join(" ")}\n`);
    return 0;
  }
  const lines = field === undefined ? undefined : Object.hasOwn(FIELDS, field) ? FIELDS[field] : undefined;
  const print = (name: string, device: Device, prefix: string): string =>
    lines
      ? lines(device)
          .map((l) => `${prefix}${l}\n`)
          .join("")
      : pretty(name, device, paint(), Date.now());
  const badField = (): number => {
    warn(`Invalid parameter: \`${field}'`);
    return usage();
  };
  if (which !== "all") {
    try {
      if (field !== undefined && !lines) return await withDevice(which, badField);
      process.stdout.write(await withDevice(which, (d) => print(which, d, "")));
      return 0;
    } catch (e) {
      throw failure("Unable to access interface", e);
    }
  }
  return showAll(field !== undefined && !lines ? badField : undefined, print, lines === undefined);
}

async function showAll(bad: Usage | undefined, print: (name: string, d: Device, prefix: string) => string, separated: boolean): Promise<number> {
  const names = await listInterfaces();
  let shown = 0;
  for (const name of names) {
    try {
      if (bad) return await withDevice(name, bad);
      const text = await withDevice(name, (d) => print(name, d, `${name}\t`));
      process.stdout.write(separated && shown > 0 ? `\n${text}` : text);
      shown++;
    } catch (e) {
      if (e instanceof TortieError) warn(`Unable to access interface ${name}: ${reasonOf(e)}`);
      else throw e;
    }
  }
  return names.length > 0 && shown === 0 ? 1 : 0;
}
