// Brings one node's kernel and device to the desired state, in Calico's order of effects: links, device, address and routes, the rule last; taking away
// begins with the rule. Between full comparisons (after start, an error, or the resync time) only differences to what was last written are applied.
import { readFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { isZero, toBase64, wipe } from "../../base/bytes.ts";
import { TortieError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Address, Link } from "../../sys/ip.ts";
import { addresses, change, forwarding, links, neighbours, routes, rules } from "../../sys/ip.ts";
import { connect, type UapiConnection } from "../../uapi/client.ts";
import { VXLAN_INTERFACE } from "../calc/plain.ts";
import { type Desired, type Encryption, MAIN_TABLE } from "../calc/types.ts";
import { keyFile, LEDGER_FILE, POD_MTU_FILE } from "../paths.ts";
import { Device } from "./device.ts";
import { Greeter } from "./greeter.ts";
import { loadKey, makeKey, publicKeyOf, removeKey, saveKey } from "./key.ts";
import { Ledger } from "./ledger.ts";
import { shaped, vxlanLink, wireguardLink } from "./links.ts";
import { difference, existing, type Sort, type State, wanted } from "./plan.ts";
import { changeOf, type DeviceView, targetOf, viewOf } from "./wireguard.ts";

/** How long a device that was switched off still opens what its peers, who hear of it later, send. */
const LINGER_MS = 1_000;
const FORWARDING = "/proc/sys/net/ipv4/ip_forward";

export type DataplaneOptions = {
  readonly log: Log;
  /** Program and arguments of a device; the interface's name is put behind them. */
  readonly deviceCommand: readonly string[];
  /** Something happened that only another apply() mends; called at once. */
  readonly onTrouble: () => void;
};

/** Calls of its methods must not overlap. */
export class Dataplane {
  readonly #options: DataplaneOptions;
  readonly #ledger: Ledger = new Ledger(LEDGER_FILE);
  readonly #greeter: Greeter;
  #have: State | undefined;
  #links: readonly Link[] = [];
  #addresses: readonly Address[] = [];
  #device: Device | undefined;
  /** What the device was last told; undefined: it must be read. */
  #view: DeviceView | undefined;
  /** Grows with each doubt in what is remembered: what was done under an older one is not remembered. */
  #doubts = 0;
  #identity: { interface: string; publicKey: string } | undefined;
  #lingerUntil: number | undefined;
  #lingerTimer: NodeJS.Timeout | undefined;

  constructor(options: DataplaneOptions) {
    this.#options = options;
    this.#greeter = new Greeter(options.log);
  }

  /** Links and addresses as last read. */
  get links(): readonly Link[] {
    return this.#links;
  }
  get addresses(): readonly Address[] {
    return this.#addresses;
  }
  /** Connection to the device while it is there. */
  get device(): UapiConnection | undefined {
    return this.#device?.connection;
  }

  /** The next apply() reads everything anew, also when one is under way now. */
  invalidate(): void {
    this.#doubts++;
    this.#have = undefined;
    this.#view = undefined;
  }

  async readHost(): Promise<void> {
    [this.#links, this.#addresses] = await Promise.all([links(), addresses()]);
  }

  /** Own public key for an interface: of the kept key, else of a device that runs already, else of a new key. */
  async identify(interfaceName: string): Promise<string> {
    if (this.#identity?.interface === interfaceName) return this.#identity.publicKey;
    const file = keyFile(interfaceName);
    let key = loadKey(file);
    if (!key) {
      key = (await keyOfDevice(interfaceName)) ?? makeKey();
      saveKey(file, key);
    }
    const publicKey = toBase64(publicKeyOf(key));
    wipe(key);
    this.#identity = { interface: interfaceName, publicKey };
    return publicKey;
  }

  /** `known`: this node's key is published already, so its peers have it. Throws what went wrong; the next call begins with a full comparison. */
  async apply(desired: Desired, known: boolean): Promise<void> {
    try {
      const { encryption } = desired;
      if (encryption) await this.#clearWay(encryption);
      const doubts = this.#doubts;
      const before = this.#have ?? (await this.#read(encryption));
      const { trouble, deleted } = await this.#shapeLinks(desired);
      // A link that was deleted took its addresses, neighbours and routes along.
      const have = deleted ? await this.#read(encryption) : before;
      const want = wanted(desired);
      if (encryption) {
        // Ordinary routing does not wait for a WireGuard interface that is in trouble.
        const sorts: Sort[] = trouble === undefined ? ["address", "neighbour", "table", "main"] : ["neighbour", "main"];
        await everything([
          trouble === undefined ? this.#configure(encryption, known) : Promise.reject(trouble),
          change("ip", difference(have, want, sorts, "ip")),
          change("bridge", difference(have, want, ["forwarding"], "bridge")),
        ]);
        await change("ip", difference(have, want, ["rule"], "ip"));
        this.#ledger.keepOnly([encryption.interface], [encryption.table]);
      } else {
        await change("ip", difference(have, want, ["rule", "table", "address", "neighbour", "main"], "ip"));
        await change("bridge", difference(have, want, ["forwarding"], "bridge"));
      }
      if (doubts === this.#doubts) this.#have = want;
      if (!encryption) await this.#retire();
      writePodMtu(desired.podMtu);
    } catch (thrown) {
      this.invalidate();
      throw thrown;
    }
  }

  /** Before encryption on one interface: nothing of another one may hold the port, the rule or the routes. */
  async #clearWay(e: Encryption): Promise<void> {
    clearTimeout(this.#lingerTimer);
    this.#lingerUntil = undefined;
    const others = this.#ledger.entries.interfaces.filter((name) => name !== e.interface);
    if (others.length > 0) {
      await this.#remove(others);
      this.invalidate();
    }
    this.#ledger.add(e.interface, e.table);
  }

  async #read(encryption: Encryption | undefined): Promise<State> {
    const tables = [...new Set([...this.#ledger.entries.tables, ...(encryption ? [encryption.table] : [])])];
    const [linkList, addressList, ruleList, main, ...tableRoutes] = await Promise.all([
      links(),
      addresses(),
      rules(),
      routes(MAIN_TABLE),
      ...tables.map(routes),
    ]);
    const hasVxlan = linkList.some((l) => l.name === VXLAN_INTERFACE && l.kind === "vxlan");
    const [neighbourList, forwardingList] = hasVxlan ? await Promise.all([neighbours(VXLAN_INTERFACE), forwarding(VXLAN_INTERFACE)]) : [[], []];
    this.#links = linkList;
    this.#addresses = addressList;
    const actual = {
      links: linkList,
      addresses: addressList,
      rules: ruleList,
      main,
      tables: new Map(tables.map((t, i) => [t, tableRoutes[i]!])),
      neighbours: neighbourList,
      forwarding: forwardingList,
    };
    const interfaces = new Set([...this.#ledger.entries.interfaces, ...(encryption ? [encryption.interface] : [])]);
    return existing(actual, interfaces, VXLAN_INTERFACE);
  }

  /** `trouble`: why the WireGuard link cannot be made; the VXLAN link must be. `deleted`: a link was. */
  async #shapeLinks({ encryption, vxlan }: Desired): Promise<{ trouble: Error | undefined; deleted: boolean }> {
    enableForwarding();
    const stale = !vxlan && this.#links.some((l) => l.name === VXLAN_INTERFACE && l.kind === "vxlan");
    const lines = [...(vxlan ? vxlanLink(this.#links, vxlan) : []), ...(stale ? [`link del dev ${VXLAN_INTERFACE}`] : [])];
    let trouble: Error | undefined;
    try {
      if (encryption) lines.push(...wireguardLink(this.#links, encryption));
    } catch (thrown) {
      trouble = thrown as Error;
    }
    await change("ip", lines);
    if (lines.length > 0) this.#links = shaped(this.#links, trouble === undefined ? encryption : undefined, vxlan);
    return { trouble, deleted: lines.some((l) => l.startsWith("link del")) };
  }

  async #configure(e: Encryption, known: boolean): Promise<void> {
    const { log, deviceCommand, onTrouble } = this.#options;
    const publicKey = await this.identify(e.interface);
    this.#device ??= new Device({
      name: e.interface,
      command: deviceCommand,
      log,
      onDeath: () => {
        log.warn("the device is gone, starting it again", { interface: e.interface });
        // Its link may have been deleted under it, with address and routes.
        this.invalidate();
        onTrouble();
      },
    });
    const connection = await this.#device.ensure();
    const doubts = this.#doubts;
    const have = this.#view ?? (await readView(connection));
    const want = targetOf(e, publicKey);
    const key = have.publicKey === publicKey ? undefined : loadKey(keyFile(e.interface));
    try {
      if (have.publicKey !== publicKey && !key) {
        this.#identity = undefined;
        throw new TortieError(`Cannot give the device "${e.interface}" its key: ${keyFile(e.interface)} is gone`);
      }
      const todo = changeOf(have, want, key ?? new Uint8Array(32));
      if (todo) await connection.set(todo.config);
      if (doubts === this.#doubts) this.#view = want;
      // A device without a key is a new one. If the peers know our key they may still send under sessions that died with the old device.
      if (todo && todo.added.length > 0) this.#greeter.greet(e.interface, todo.added, publicKey, known && have.publicKey === undefined);
    } finally {
      wipe(key);
    }
  }

  /** Encryption is off: the rule is gone already; device and link follow a little later. */
  async #retire(): Promise<void> {
    const { interfaces } = this.#ledger.entries;
    if (interfaces.length === 0) return;
    const now = performance.now();
    if (this.#lingerUntil === undefined) {
      this.#lingerUntil = now + LINGER_MS;
      this.#lingerTimer = setTimeout(this.#options.onTrouble, LINGER_MS);
    } else if (now >= this.#lingerUntil) {
      await this.#remove(interfaces);
      this.#ledger.keepOnly([], []);
      this.#lingerUntil = undefined;
      this.invalidate();
    }
  }

  async #remove(interfaces: readonly string[]): Promise<void> {
    this.#greeter.stop();
    for (const name of interfaces) {
      this.#options.log.info("removing the device", { interface: name });
      const device = this.#device?.name === name ? this.#device : new Device({ name, command: [], log: this.#options.log, onDeath: () => {} });
      await device.stop();
      if (this.#device === device) this.#device = undefined;
      if (this.#identity?.interface === name) this.#identity = undefined;
      this.#view = undefined;
      const link = (await links()).find((l) => l.name === name);
      if (link?.kind === "tun") await change("ip", [`link del dev ${name}`]);
      removeKey(keyFile(name));
    }
  }

  /** Lets go of everything; device, link, routes and rule stay as they are. */
  close(): void {
    clearTimeout(this.#lingerTimer);
    this.#greeter.stop();
    this.#device?.release();
  }
}

/** All of it, also when some fails; then throws the first failure. */
async function everything(work: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(work)).find((r) => r.status === "rejected");
  if (failed) throw failed.reason;
}

async function keyOfDevice(interfaceName: string): Promise<Uint8Array | undefined> {
  const connection = await connect(interfaceName).catch(() => undefined);
  if (!connection) return undefined;
  try {
    const { privateKey } = await connection.get();
    return privateKey && !isZero(privateKey) ? privateKey : undefined;
  } finally {
    connection.close();
  }
}

async function readView(connection: UapiConnection): Promise<DeviceView> {
  const state = await connection.get();
  const key = state.privateKey;
  const view = viewOf(state, key && !isZero(key) ? toBase64(publicKeyOf(key)) : undefined);
  wipe(key);
  return view;
}

function enableForwarding(): void {
  if (readFileSync(FORWARDING, "utf8").trim() !== "1") writeFileSync(FORWARDING, "1");
}

function writePodMtu(mtu: number): void {
  let current = "";
  try {
    current = readFileSync(POD_MTU_FILE, "utf8");
  } catch {
    mkdirSync(dirname(POD_MTU_FILE), { recursive: true });
  }
  if (current !== `${mtu}`) writeFileSync(POD_MTU_FILE, `${mtu}`, { mode: 0o644 });
}
