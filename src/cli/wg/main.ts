// `tortie wg`: wg(8) for userspace devices, also when the program is called `wg`. A table of commands; help is printed from it.
import { VERSION } from "../version.ts";
import { fromFile, set, showconf, syncconf } from "./conf.ts";
import { generate, pubkey } from "./genkey.ts";
import { show, SHOW_USAGE, type Usage } from "./show.ts";
import { PROGRAM, warn } from "./words.ts";

type Command = { readonly summary: string; readonly usage: string; run(args: readonly string[], usage: Usage): Promise<number> };

const SET_USAGE =
  "<interface> [listen-port <port>] [fwmark <mark>] [private-key <file path>] [peer <base64 public key> [remove] [preshared-key <file path>] " +
  "[endpoint <ip>:<port>] [persistent-keepalive <interval seconds>] [allowed-ips [+|-]<ip1>/<cidr1>[,[+|-]<ip2>/<cidr2>]...] ]...";
const FILE_USAGE = "<interface> <configuration filename>";

const COMMANDS: Readonly<Record<string, Command>> = {
  show: { summary: "Shows the current configuration and device information", usage: SHOW_USAGE, run: show },
  showconf: {
    summary: "Shows the current configuration of a given WireGuard interface, for use with `setconf'",
    usage: "<interface>",
    run: showconf,
  },
  set: { summary: "Change the current configuration, add peers, remove peers, or change peers", usage: SET_USAGE, run: set },
  setconf: { summary: "Applies a configuration file to a WireGuard interface", usage: FILE_USAGE, run: fromFile(false) },
  addconf: { summary: "Appends a configuration file to a WireGuard interface", usage: FILE_USAGE, run: fromFile(true) },
  syncconf: { summary: "Synchronizes a configuration file to a WireGuard interface", usage: FILE_USAGE, run: syncconf },
  genkey: { summary: "Generates a new private key and writes it to stdout", usage: "", run: generate(true) },
  genpsk: { summary: "Generates a new preshared key and writes it to stdout", usage: "", run: generate(false) },
  pubkey: { summary: "Reads a private key from stdin and writes a public key to stdout", usage: "", run: pubkey },
};

const EXAMPLES = `
Only userspace devices are reached, through their sockets in /var/run/wireguard; kernel interfaces are not.

Examples:
  ${PROGRAM} show wireguard.cali
  ${PROGRAM} showconf wireguard.cali
  ${PROGRAM} genkey | tee private.key | ${PROGRAM} pubkey
  ${PROGRAM} set wg0 private-key private.key listen-port 51820 peer KEY allowed-ips 10.0.0.2/32 endpoint 192.0.2.1:51820
`;

const overview = (): string =>
  `Usage: ${PROGRAM} <cmd> [<args>]\n\nAvailable subcommands:\n${Object.entries(COMMANDS)
    .map(([name, c]) => `  ${name}: ${c.summary}\n`)
    .join("")}You may pass \`--help' to any of these subcommands to view usage.\n`;

const isHelp = (word: string | undefined): boolean => word === "-h" || word === "--help" || word === "help";

export async function main(args: string[]): Promise<number> {
  const [name = "show", ...rest] = args;
  if (name === "-v" || name === "--version" || name === "version") {
    process.stdout.write(`tortie-wg v${VERSION} - wg(8) of the npm package tortie\n`);
    return 0;
  }
  if (isHelp(name)) {
    process.stdout.write(overview() + EXAMPLES);
    return 0;
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command) {
    warn(`Invalid subcommand: \`${name}'`);
    process.stderr.write(overview());
    return 1;
  }
  const usage = `Usage: ${PROGRAM} ${name}${command.usage ? ` ${command.usage}` : ""}\n`;
  if (rest.length === 1 && isHelp(rest[0])) {
    process.stdout.write(usage);
    return 0;
  }
  return command.run(rest, () => {
    process.stderr.write(usage);
    return 1;
  });
}
