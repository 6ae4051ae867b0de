// What the real wg and ours are both asked. Keys are made up.
export type Case = {
  readonly name: string;
  readonly args: readonly string[];
  /** UAPI lines that set the device's state first; absent: there is no device. */
  readonly state?: string;
  /** Seconds since the last handshake of each peer, in order; absent: never. */
  readonly handshakes?: readonly number[];
  /** tx and rx of each peer. */
  readonly transfer?: readonly (readonly [number, number])[];
  readonly env?: Readonly<Record<string, string>>;
  /** In /mnt. */
  readonly files?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** errno that the device answers to listen_port. */
  readonly fails?: number;
};

const hex = (n: number): string => n.toString(16).padStart(2, "0").repeat(32);
const key = (n: number): string => Buffer.from(hex(n), "hex").toString("base64");

const DEVICE = `private_key=${"58".repeat(32)}\nlisten_port=51820\nfwmark=51820\n`;
const PEERS =
  `public_key=${hex(0x11)}\nendpoint=192.0.2.1:51820\nallowed_ip=10.0.0.2/32\nallowed_ip=fd00::2/128\npersistent_keepalive_interval=25\n` +
  `public_key=${hex(0x22)}\npreshared_key=${hex(0x33)}\nendpoint=[2001:db8::1]:1\nallowed_ip=0.0.0.0/0\nallowed_ip=::/0\n` +
  `public_key=${hex(0x44)}\npersistent_keepalive_interval=65535\n` +
  `public_key=${hex(0x55)}\nallowed_ip=172.16.0.0/24\nallowed_ip=2001:db8:0:0:1::/80\nendpoint=[::ffff:192.0.2.9]:7\n`;
const FULL = {
  state: DEVICE + PEERS,
  handshakes: [65, 0, 86_400 * 400 + 3 * 3600 + 61],
  transfer: [
    [1023, 1024],
    [0, 1_500_000],
    [2 ** 31, 2 ** 41],
    [0, 0],
  ],
} satisfies Partial<Case>;

const FIELDS =
  "public-key private-key listen-port fwmark peers preshared-keys endpoints allowed-ips latest-handshakes transfer persistent-keepalive dump".split(
    " ",
  );
const SHOWN: readonly (readonly string[])[] = [
  [],
  ["show"],
  ["show", "wg0"],
  ["show", "all"],
  ["show", "interfaces"],
  ["showconf", "wg0"],
  ...FIELDS.flatMap((field) => [
    ["show", "wg0", field],
    ["show", "all", field],
  ]),
];
const STATES: Readonly<Record<string, Partial<Case>>> = {
  "nothing set": { state: "" },
  "a device without peers": { state: DEVICE },
  "many peers": FULL,
  "the clock went back": { state: `public_key=${hex(1)}\n`, handshakes: [-50] },
  "keys shown, in colour": { ...FULL, env: { WG_COLOR_MODE: "always", WG_HIDE_KEYS: "never" } },
};
// Of the fields `show all endpoints` is left out: the real one names the interface on the first line only.
const shown: Case[] = Object.entries(STATES).flatMap(([name, state]) =>
  SHOWN.filter((args) => args[2] === undefined || (!state.env && !args.join().startsWith("show,all,endpoints"))).map((args): Case => ({
    name: `${args.join(" ") || "(no words)"}: ${name}`,
    args,
    ...state,
  })),
);

const FILE = `
# a comment
[interface]
 PRIVATEkey = ${key(0x58)}
ListenPort=5 1 8 2 0   # blanks go
FwMark = 0xca6c
[PEER]
PublicKey=${key(0x11)}
AllowedIPs = 10.0.0.2, fd00::2/64,
AllowedIPs = 10.9.0.0/16
Endpoint = 192.0.2.1:51820
PersistentKeepalive = 25
[Peer]
PublicKey=${key(0x66)}
PresharedKey=${key(0x33)}
Endpoint = [2001:db8::7]:65535
PersistentKeepalive = OFF
[Peer]
PublicKey=${key(0x22)}
`;
const good = FILE.replace("fd00::2/64,", "fd00::2/64");
const interfaceOf = (line: string): string => `[Interface]\n${line}\n`;
const peerOf = (line: string): string => `[Peer]\nPublicKey=${key(0x11)}\n${line}\n`;
const FILES: Readonly<Record<string, string>> = {
  full: good,
  "without a last newline": good.trimEnd(),
  "with carriage returns": good.replaceAll("\n", "\r\n"),
  empty: "",
  "only a port": interfaceOf("ListenPort = 7"),
  "a port by name": interfaceOf("ListenPort = domain"),
  "fwmark off": interfaceOf("FwMark = Off"),
  "fwmark decimal": interfaceOf("FwMark = 4294967295"),
  "fwmark too large": interfaceOf("FwMark = 4294967296"),
  "fwmark 0X": interfaceOf("FwMark = 0X1"),
  "fwmark negative": interfaceOf("FwMark = -1"),
  "a port that is no service": interfaceOf("ListenPort = nosuchservice"),
  "an unknown key": interfaceOf("Address = 10.0.0.1/24"),
  "a peer's key in the interface": interfaceOf("Endpoint = 1.2.3.4:5"),
  "an interface's key in a peer": peerOf("ListenPort = 5"),
  "a key before any section": "ListenPort = 5\n",
  "an unknown section": "[Interfaces]\nListenPort = 5\n",
  "no equals sign": interfaceOf("ListenPort"),
  "an empty value": interfaceOf("ListenPort ="),
  "a peer without a public key": "[Peer]\nAllowedIPs = 10.0.0.0/8\n",
  "a second peer without a public key": `${peerOf("")}[Peer]\n`,
  "a short public key": "[Peer]\nPublicKey = AAAA\n",
  "a public key with loose bits": `[Peer]\nPublicKey = ${"A".repeat(42)}B=\n`,
  "no port in the endpoint": peerOf("Endpoint = 1.2.3.4"),
  "an empty port in the endpoint": peerOf("Endpoint = 1.2.3.4:"),
  "no closing brace": peerOf("Endpoint = [::1"),
  "no port behind the brace": peerOf("Endpoint = [::1]"),
  "an empty endpoint": peerOf("Endpoint ="),
  "localhost by name": peerOf("Endpoint = localhost:80"),
  "an endpoint's port by name": peerOf("Endpoint = 127.0.0.1:domain"),
  "a bad address": peerOf("AllowedIPs = 10.0.0"),
  "a prefix too long": peerOf("AllowedIPs = 10.0.0.0/33"),
  "an empty prefix": peerOf("AllowedIPs = 10.0.0.0/"),
  "nonzero host bits": peerOf("AllowedIPs = 10.1.2.3/8"),
  "keepalive off": peerOf("PersistentKeepalive = 0"),
  "keepalive too long": peerOf("PersistentKeepalive = 65536"),
  "keepalive no number": peerOf("PersistentKeepalive = 25s"),
};
const configured: Case[] = ["setconf", "addconf", "syncconf"].flatMap((command) =>
  Object.entries(FILES).map(([name, conf]): Case => ({
    name: `${command}: ${name}`,
    args: [command, "wg0", "/mnt/wg0.conf"],
    files: { "wg0.conf": conf },
    ...FULL,
  })),
);

const SET: readonly (readonly string[])[] = [
  ["listen-port", "7"],
  ["listen-port", "domain"],
  ["fwmark", "0xFF"],
  ["fwmark", "off"],
  ["private-key", "/mnt/key"],
  ["private-key", "/dev/null"],
  ["private-key", "/mnt/short"],
  ["private-key", "/mnt/long"],
  ["private-key", "/mnt/missing"],
  ["listen-port"],
  ["listen-port", "x"],
  ["fwmark", "zz"],
  ["fwmark", ""],
  ["foo", "bar"],
  ["endpoint", "1.2.3.4:5"],
  ["peer"],
  ["peer", "abc"],
  ["peer", key(0x11)],
  ["peer", key(0x11), "remove"],
  ["peer", key(0x11), "remove", "peer", key(0x77), "endpoint", "1.2.3.4:5"],
  ["peer", key(0x11), "preshared-key", "/mnt/key", "endpoint", "[::1]:9", "persistent-keepalive", "off", "allowed-ips", "10.0.0.0/8, fd00::/8"],
  ["peer", key(0x11), "preshared-key", "/dev/null"],
  ["peer", key(0x11), "allowed-ips", ""],
  ["peer", key(0x11), "allowed-ips", "10.0.0.0/8", "allowed-ips", "11.0.0.0/8"],
  ["peer", key(0x11), "allowed-ips", "x"],
  ["peer", key(0x11), "persistent-keepalive", "70000"],
  ["peer", key(0x11), "listen-port", "5"],
  ["peer", key(0x11), "allowed-ips"],
  ["LISTEN-PORT", "5"],
];
const setting: Case[] = SET.map((words) => ({
  name: `set ${words.join(" ")}`,
  args: ["set", "wg0", ...words],
  files: { key: `${key(0x58)}\n`, short: "abc", long: `${key(0x58)}x` },
  ...FULL,
}));

const USAGE: Case[] = [
  ...["showconf", "setconf"].map((c) => [c, "a", "b", "c"]),
  ...["showconf", "setconf", "addconf", "syncconf"].map((c) => [c]),
  ...["genkey", "genpsk", "pubkey"].map((c) => [c, "x"]),
  ["show", "a", "b", "c"],
  ["show", "wg0", "bogus"],
  ["show", "all", "bogus"],
  ["foo"],
  ["setconf", "wg0", "/mnt/missing"],
].map((args) => ({ name: args.join(" "), args, ...FULL }));

const PUBKEY: Case[] = Object.entries({
  good: `${key(0x58)}\n`,
  "good with blanks and NULs": `${key(0x58)} \t\n\0\0`,
  "without newline": key(0x58),
  short: "abc\n",
  empty: "",
  "loose bits": `${"A".repeat(42)}B=\n`,
  trailing: `${key(0x58)}x\n`,
  leading: ` ${key(0x58)}\n`,
}).map(([name, input]) => ({ name: `pubkey: ${name}`, args: ["pubkey"], input }));

const ERRORS: Case[] = [98, 22, 5, 1].map((fails) => ({
  name: `set refused with ${fails}`,
  args: ["set", "wg0", "listen-port", "7"],
  fails,
  ...FULL,
}));

export const CASES: readonly Case[] = [...shown, ...configured, ...setting, ...USAGE, ...PUBKEY, ...ERRORS];
