// The viewer in a real terminal: tmux types keys and tells what the screen shows.
import { execFileSync, spawnSync } from "node:child_process";
import { appendFileSync, copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { PcapngWriter } from "../../src/capture/writer.ts";
import { eventually } from "../device/host.ts";
import { inner, ping, tunnel, type Tunnel } from "../device/tunnel.ts";
import { describeRoot, describeWith, TORTIE } from "../peers.ts";

const captures = new URL("../captures/", import.meta.url).pathname;
const PSK = join(captures, "wggo-psk-v4.pcap");
const KEYS = join(captures, "wggo-psk-v4.initiator.keys");
const PATIENCE_MS = 60_000;

let directory: string;
let terminals = 0;
const open: Screen[] = [];
beforeAll(() => (directory = mkdtempSync(join(tmpdir(), "tortie-view-"))));
afterEach(() => open.splice(0).forEach((s) => s.close()));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A terminal with a shell in it. */
class Screen {
  readonly #socket: string;
  constructor(columns: number, rows: number, start: (command: string[]) => void = (c) => void execFileSync(c[0]!, c.slice(1))) {
    this.#socket = join(directory, `tmux-${++terminals}`);
    const shell = ["env", "LANG=C.UTF-8", "LC_ALL=C.UTF-8", "PS1=shell>", "bash", "--norc", "--noprofile", "-i"];
    start(["tmux", "-u", "-f", "/dev/null", "-S", this.#socket, "new-session", "-d", "-x", String(columns), "-y", String(rows), ...shell]);
    open.push(this);
  }
  #tmux(...args: string[]): string {
    return execFileSync("tmux", ["-u", "-S", this.#socket, ...args], { encoding: "utf8" });
  }
  keys(...keys: string[]): void {
    this.#tmux("send-keys", ...keys);
  }
  type(text: string): void {
    this.#tmux("send-keys", "-l", text);
  }
  run(command: string): void {
    this.type(command);
    this.keys("Enter");
  }
  view(args: string, env = ""): void {
    this.run(`clear; ${env} ${process.execPath} ${TORTIE} view ${args}; echo exit=$?`);
  }
  get text(): string {
    return this.#tmux("capture-pane", "-p");
  }
  /** With its colours; the escape character as "ESC". */
  get painted(): string {
    return this.#tmux("capture-pane", "-pe").replaceAll("\u001b", "ESC");
  }
  resize(columns: number, rows: number): void {
    this.#tmux("resize-window", "-x", String(columns), "-y", String(rows));
  }
  async shows(...patterns: RegExp[]): Promise<string> {
    let text = "";
    await eventually(() => {
      text = this.text;
      for (const p of patterns) expect(text).toMatch(p);
    }, PATIENCE_MS);
    return text;
  }
  /** The process of the viewer. */
  async pid(): Promise<number> {
    const shell = this.#tmux("display-message", "-p", "#{pane_pid}").trim();
    let found = 0;
    await eventually(() => {
      found = Number(spawnSync("pgrep", ["-P", shell], { encoding: "utf8" }).stdout.trim().split("\n")[0]);
      expect(found).toBeGreaterThan(0);
    }, PATIENCE_MS);
    return found;
  }
  close(): void {
    spawnSync("tmux", ["-S", this.#socket, "kill-server"]);
  }
}

/** The shell has its terminal back: its own screen, and a line that is edited. */
async function restored(s: Screen, code: number): Promise<void> {
  await s.shows(new RegExp(`exit=${code}`), /^shell>$/m);
  s.run("stty -a | tr ';' '\\n' | tr ' ' '\\n' | grep -xE 'icanon|echo|isig' | sort | xargs echo modes:");
  await s.shows(/^modes: echo icanon isig$/m);
}

describeWith(["tmux"], "tortie view", () => {
  test("80x24: list, tree and bytes; keys go from view to view; q gives the terminal back", async () => {
    const s = new Screen(80, 24);
    s.view(`${PSK} --keys ${KEYS}`);
    const first = await s.shows(/25 packets, 1 session/, /[▸▾] WireGuard Protocol/, /\[Frame\]/);
    expect(first.split("\n").filter((l) => l.length > 80)).toEqual([]);
    expect(first).toMatch(/^ D {3}3 +0\.0008 10\.78\.0\.1 +10\.78\.0\.2 +ICMP/m);
    s.keys("s");
    await s.shows(/22\/22 +0 open/);
    s.keys("t");
    await s.shows(/#0 IR━+/);
    s.keys("P");
    await s.shows(/10\.77\.0\.1:51820 ⇄ 10\.77\.0\.2:51820/, /1 session, handshakes 1 ok, 0 unanswered, round trip 0\.[56]/);
    s.keys("c");
    await s.shows(/^TCP {2}tunnel 10\.78\.0\.1:40372 +10\.78\.0\.2:8080 +5 +5 +612/m);
    s.keys("End", "F");
    await s.shows(/10\.78\.0\.1:40372 ⇄ 10\.78\.0\.2:8080: 24 bytes →, 52 ←/, /^← hello-podnet$/m, /^→ GET \/secret HTTP\/1\.0$/m);
    s.keys("x");
    await s.shows(/^→ 0000 {2}47 45 54 20/m);
    s.keys("F", "Enter");
    await s.shows(/10 matches: ip\.addr == 10\.78\.0\.1 && tcp\.port == 40372/);
    s.keys("d");
    await s.shows(/22 of 22 data packets/);
    s.keys("?");
    await s.shows(/display filter, Wireshark's language/);
    s.keys("q", "p", "/", "C-u");
    s.type("wg.type == 2");
    s.keys("Enter");
    await s.shows(/1 match: wg\.type == 2/);
    s.keys("Escape");
    await s.shows(/2 of 25/);
    s.keys("g");
    s.type("24");
    s.keys("Enter", "y");
    await s.shows(/24 of 25/, /Copied: wg\.stream == 0/);
    s.keys("q");
    await restored(s, 0);
  });

  test("the audit of a capture has the verdict of tortie audit; without an inventory it says what is missing", async () => {
    const s = new Screen(140, 60);
    const leak = join(captures, "leak-nodeA.pcap");
    const inventory = join(captures, "leak-inventory.json");
    s.view(`${leak} --inventory ${inventory}`);
    await s.shows(/102 packets/);
    s.keys("a");
    const shown = await s.shows(/^ Verdict: FAIL: /m);
    const printed = execFileSync("sh", ["-c", `${process.execPath} ${TORTIE} audit ${leak} --inventory ${inventory} || true`], { encoding: "utf8" });
    const [verdict, share, classes] = [/^ ?(Verdict: .*)$/m, /^ ?(Encrypted share: .*)$/m, /^ ?(Frames by class: .*)$/m].map((p) => [
      p.exec(shown)?.[1]?.trimEnd(),
      p.exec(printed)?.[1],
    ]);
    expect(verdict![0]).toMatch(/40 packets .* 16 flows/);
    for (const [here, there] of [verdict!, share!, classes!]) expect(here).toBe(there);
    s.keys("q");
    await s.shows(/exit=0/);
    s.view(leak);
    await s.shows(/102 packets/);
    s.keys("a");
    await s.shows(/begin with --inventory FILE, or --cluster/);
  });

  test("200x50: tree and bytes side by side; a smaller window is drawn anew", async () => {
    const s = new Screen(200, 50);
    s.view(PSK);
    await s.shows(/▸ Ethernet II.*│0010 {2}/);
    s.resize(60, 12);
    const small = await s.shows(/ 1 of 25 ═$/m);
    expect(small).not.toMatch(/Ethernet II/);
    expect(small.trimEnd().split("\n").length).toBeLessThanOrEqual(12);
    s.keys("q");
    await s.shows(/exit=0/);
  });

  test.for([
    ["NO_COLOR=1", PSK],
    ["", `--no-color ${PSK}`],
  ])("without colour (%s %s) the chosen packet is in reverse and the classes are letters", async ([env, args]) => {
    const s = new Screen(80, 24);
    s.view(args!, env);
    await s.shows(/^ H {3}1 /m, /^ · {3}3 /m);
    expect(s.painted).not.toMatch(/ESC\[[0-9;]*(3[0-7]|9[0-7]|38;)[0-9;]*m/);
    expect(s.painted).toMatch(/ESC\[[0-9;]*7m/);
  });

  test("with colour handshakes are blue and opened data is green", async () => {
    const s = new Screen(80, 24);
    s.view(`${PSK} --keys ${KEYS}`);
    await s.shows(/^ D {3}3 /m);
    const lines = s.painted.split("\n");
    expect(lines.find((l) => l.includes("Handshake Response"))).toMatch(/ESC\[[0-9;]*94m/);
    expect(lines.find((l) => l.includes("Echo (ping) reply"))).toMatch(/ESC\[[0-9;]*32m/);
  });

  test.for([
    ["SIGTERM", 143],
    ["SIGHUP", 129],
    ["SIGINT", 130],
    ["SIGQUIT", 131],
  ] as const)("%s gives the terminal back", async ([signal, code]) => {
    const s = new Screen(80, 24);
    s.view(PSK);
    await s.shows(/25 packets/);
    process.kill(await s.pid(), signal);
    await restored(s, code);
  });

  test.for([
    ["an exception that nobody caught", "process.on('SIGUSR2',()=>{throw new Error('the sky fell')})"],
    ["a promise that nobody waited for", "process.on('SIGUSR2',()=>{Promise.reject(new Error('the sky fell'))})"],
  ] as const)("%s ends it with a sentence, after the terminal is given back", async ([, code]) => {
    const s = new Screen(100, 24);
    const path = join(directory, "fault.mjs");
    writeFileSync(path, code);
    s.view(PSK, `NODE_OPTIONS="--import ${path}"`);
    await s.shows(/25 packets/);
    process.kill(await s.pid(), "SIGUSR2");
    await restored(s, 1);
    expect(s.text).toMatch(/^the sky fell$/m);
    expect(s.text).not.toMatch(/ {4}at /);
  });

  test("a terminal that is closed ends it; a pipe whose writer dies does not", async () => {
    const gone = new Screen(80, 24);
    gone.view(PSK);
    await gone.shows(/25 packets/);
    const pid = await gone.pid();
    gone.close();
    await eventually(() => expect(existsSync(`/proc/${pid}`)).toBe(false), PATIENCE_MS);
    const s = new Screen(80, 24);
    s.run(`clear; (cat ${PSK}; kill -9 $BASHPID) | ${process.execPath} ${TORTIE} view -; echo exit=$?`);
    await s.shows(/standard input +25 packets/);
    s.keys("q");
    await restored(s, 0);
  });

  test("Ctrl-Z goes to the shell, fg comes back", async () => {
    const s = new Screen(80, 24);
    s.view(PSK);
    await s.shows(/25 packets/);
    s.keys("C-z");
    await s.shows(/Stopped/, /^shell>$/m);
    s.run("fg");
    await s.shows(/25 packets/, /[▸▾] WireGuard Protocol/);
    s.keys("Down", "q");
    await s.shows(/^shell>$/m);
  });

  test("terminals that cannot show it are refused with a word", () => {
    const { stderr, status } = spawnSync(process.execPath, [TORTIE, "view", PSK], { encoding: "utf8" });
    expect([status, stderr]).toEqual([1, "Cannot view: standard output is not a terminal\ntortie inspect prints a capture line by line.\n"]);
  });
  test("so is TERM=dumb", async () => {
    const s = new Screen(100, 24);
    s.view(PSK, "TERM=dumb");
    await s.shows(/Cannot view: this terminal \(TERM=dumb\) cannot move its cursor/, /exit=1/);
  });

  test("a file that grows is shown as it grows; f follows; a pipe comes with keys from the terminal", async () => {
    const path = join(directory, "grows.pcap");
    copyFileSync(PSK, path);
    const s = new Screen(80, 24);
    s.view(`--follow ${path} --keys ${KEYS}`);
    await s.shows(/25 of 25/);
    appendFileSync(path, readFileSync(PSK).subarray(24));
    await s.shows(/50 packets/, /following, 50 of 50/);
    s.keys("q");
    await s.shows(/exit=0/);
    s.run(`clear; cat ${PSK} | ${process.execPath} ${TORTIE} view - --keys ${KEYS}; echo exit=$?`);
    await s.shows(/standard input +25 packets/);
    s.keys("Home", "q");
    await s.shows(/exit=0/);
    execFileSync("gzip", ["-k", path]);
    s.view(`${path}.gz --keys ${KEYS}`);
    await s.shows(/grows\.pcap\.gz +50 packets/, /ICMP +170/);
    s.keys("q");
    await s.shows(/exit=0/);
  });

  test("keys that come late open what is shown, and what a filter looks for", async () => {
    const keys = join(directory, "late.keys");
    const text = readFileSync(KEYS, "utf8");
    writeFileSync(keys, "");
    const s = new Screen(80, 24);
    s.view(`${PSK} --keys ${keys} -Y 'icmp.type == 8'`);
    await s.shows(/0 matches/);
    // In mid-record, as a writer may be seen.
    const cut = text.indexOf("PRESHARED_KEY") + 20;
    appendFileSync(keys, text.slice(0, cut));
    await sleep(600);
    appendFileSync(keys, text.slice(cut));
    await s.shows(/1[0-9] matches|[1-9] matches/, /^ D +3 .*ICMP/m);
    s.keys("Escape");
    await s.shows(/═ Packets ═/, /^ D +3 .*ICMP/m);
    s.keys("q");
    await s.shows(/exit=0/);
  });

  test("control characters of a capture do not reach the terminal", async () => {
    const s = new Screen(160, 24);
    const path = join(directory, "evil.pcapng");
    const bytes: Uint8Array[] = [];
    const writer = new PcapngWriter((b) => bytes.push(b));
    writer.addInterface({ link: 1, snaplen: 0, name: "\u001b[2Jeth\u009b5n" });
    const comments = ["\u001b]0;evil\u0007\u001b[2J\u202ecba"];
    writer.packet(0, { time: 1n, data: new Uint8Array(60), originalLength: 60, comments });
    writeFileSync(path, Buffer.concat(bytes));
    s.view(path);
    await s.shows(/1 packet,/, /# ·\]0;evil··\[2J·cba/);
    s.keys("Tab", "Right");
    await s.shows(/1 packet,/, /▾/);
    for (const c of s.text) expect(c >= " " || c === "\n").toBe(true);
    s.keys("q");
    await s.shows(/exit=0/);
  });
});

describeRoot("tortie view -i", () => {
  describeWith(["tmux"], "live", () => {
    let t: Tunnel;
    beforeAll(async () => {
      t = await tunnel({ outer: 4, psk: false });
      t.configure();
      expect(ping(t.a, inner(2, 4))).toBe(3);
    });
    afterAll(() => t.close());

    test("packets come as they pass, with rates and losses in sight; the capture filter holds", async () => {
      const s = new Screen(80, 24, (command) => void t.a.host.run(...command));
      s.view("-i eth0 udp port 51820");
      await s.shows(/eth0 "udp port 51820".*0 dropped/, /pkt\/s/, /following/);
      await eventually(() => {
        expect(ping(t.a, inner(2, 4), 5)).toBe(5);
        expect(s.text).toMatch(/ [1-9][0-9]+ packets, 1 session/);
      });
      await s.shows(/ [1-9][0-9]+ packets, 1 session/, /WG +170 Transport Data/);
      s.keys("Home");
      await s.shows(/ 1 of [0-9]+ ═$/m);
      s.keys("s");
      await s.shows(/sessions: eth0.*0 dropped/);
      s.keys("c");
      await s.shows(/^UDP +wire +[0-9.]+:[0-9]+ +[0-9.]+:[0-9]+ +[0-9]+ +[0-9]+ +[0-9]{3,}$/m, /conversations: eth0.*0 dropped/);
      s.keys("q");
      await restored(s, 0);
    });
  });
});
