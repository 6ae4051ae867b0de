// What two implementations must agree on beyond the rows of the matrix: cookies, keepalives, changes of keys, key logs. With each peer, over IPv4.
import { randomBytes } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../device/host.ts";
import { newKey, publicOf } from "../device/tunnel.ts";
import { describeRoot, describeWith, TORTIE } from "../peers.ts";
import { Bench, endpoint, inner, PORT, type Side, type Which } from "./bench.ts";
import { flood } from "./flood.ts";
import { IF, PEERS, type Userspace } from "./peers.ts";
import { rootOf } from "../../src/sys/ns.ts";

const ROLES: readonly Which[] = ["ours", "theirs"];
const SETUP = { outer: 4, psk: true } as const;

/** `wg set` of the peer that `side` has, with more words. */
const set = (side: Side, publicKey: string, words: string): Promise<string> => side.machine.sh(`wg set ${IF} peer ${publicKey} ${words}`);

describeRoot("our device", () => {
  describeWith(["wg", "ping", "nft", "busybox", "tcpdump"], "agrees with", () => {
    for (const kind of PEERS) {
      const title = kind.missing === undefined ? kind.name : `${kind.name} [skipped: not here; ${kind.missing}]`;
      describe.skipIf(kind.missing !== undefined)(title, () => {
        const keylog = `/tmp/tortie-test-keys-${process.pid}-${randomBytes(4).toString("hex")}`;
        let bench: Bench;
        beforeAll(async () => {
          bench = await Bench.open(kind, { WG_KEYLOGFILE: keylog });
          return async () => {
            await bench.close();
            rmSync(keylog, { force: true });
          };
        });

        test.for(ROLES)("a flooded device asks for a cookie, and the other end comes through with it: flooded are %s", async (which) => {
          const flooded = bench.side(which);
          const other = bench.other(flooded);
          const { host, address } = flooded.peer.neighbour();
          const attack = flood(host, address, PORT, flooded.publicKey, kind.bytes < 1 << 20 && which === "theirs" ? 3_000 : 30_000);
          try {
            // A device is under load only while its queue is long: the first message may find it short.
            await eventually(async () => {
              await bench.fresh(SETUP);
              // The second message, with the cookie, goes 5 s after the first, and a flooded device may miss some.
              await other.machine.sh(`for i in 1 2 3 4 5 6; do ping -n -q -c 1 -W 5 ${inner(flooded, 4)} && exit; done; exit 1`);
              const { sent, received } = await bench.handshakes();
              const [asked, answered] = which === "ours" ? [received, sent] : [sent, received];
              expect(answered[2]).toBeGreaterThan(0);
              expect(asked[0]).toBeGreaterThan(1);
              expect(answered[1]).toBe(1);
            }, 60_000);
            expect(attack.child.exitCode).toBeNull();
          } finally {
            attack.child.kill("SIGKILL");
            await attack.exit;
          }
          await bench.fresh(SETUP);
          await bench.ping(flooded, 4);
        });

        test.for(ROLES)("persistent keepalives, from %s", async (which) => {
          await bench.fresh(SETUP);
          const from = bench.side(which);
          const to = bench.other(from);
          const received = async (): Promise<number> => Number((await bench.show(to, "transfer"))[0]);
          // No packet has been sent: the first keepalive makes the session.
          await set(from, to.publicKey, "persistent-keepalive 1");
          await eventually(async () => expect(await received()).toBeGreaterThanOrEqual(148 + 32));
          const before = await received();
          await eventually(async () => expect(await received()).toBeGreaterThanOrEqual(before + 2 * 32));
          const more = (await received()) - before;
          await set(from, to.publicKey, "persistent-keepalive off");
          // Keepalives and nothing else.
          expect(more % 32).toBe(0);
        });

        test.for(ROLES)("a new private key of %s takes effect with the next packet", async (which) => {
          await bench.fresh(SETUP);
          const changing = bench.side(which);
          const other = bench.other(changing);
          await bench.ping(changing, 4);
          const key = newKey();
          const psk = newKey();
          await set(other, changing.publicKey, "remove");
          await other.machine.sh(
            `echo ${psk} | wg set ${IF} peer ${publicOf(key)} preshared-key /dev/stdin endpoint ${endpoint(changing.n, 4)} allowed-ips ${inner(changing, 4)}/32`,
          );
          await changing.machine.sh(
            `echo ${key} | wg set ${IF} private-key /dev/stdin; echo ${psk} | wg set ${IF} peer ${other.publicKey} preshared-key /dev/stdin`,
          );
          await bench.handshakes();
          await bench.ping(changing, 4);
          await bench.ping(other, 4);
          const { sent, received } = await bench.handshakes();
          expect(which === "ours" ? [sent[0], received[1]] : [received[0], sent[1]]).toEqual([1, 1]);
        });

        test("a new preshared key leaves the session alone", async () => {
          await bench.fresh(SETUP);
          await bench.ping(bench.ours, 4);
          await bench.handshakes();
          const psk = newKey();
          for (const side of [bench.ours, bench.theirs])
            await side.machine.sh(`echo ${psk} | wg set ${IF} peer ${bench.other(side).publicKey} preshared-key /dev/stdin`);
          await bench.ping(bench.ours, 4);
          await bench.ping(bench.theirs, 4);
          expect(await bench.handshakes()).toEqual({ sent: [0, 0, 0], received: [0, 0, 0] });
        });

        test.for(ROLES)("our key log opens what was captured between us; initiator: %s", async (which) => {
          const host = (bench.ours.peer as Userspace).machine;
          await bench.fresh(SETUP);
          const capture = `${rootOf(host.pid)}/run/wire.pcap`;
          const tcpdump = host.spawn(["tcpdump", "-Z", "root", "-U", "-i", "eth0", "-w", "/run/wire.pcap", "udp"]);
          await eventually(() => expect(tcpdump.output()).toMatch(/listening/));
          const first = bench.side(which);
          await bench.ping(first, 4, 3);
          await eventually(() => {
            const text = host.run(process.execPath, TORTIE, "inspect", "--keys", keylog, "/run/wire.pcap");
            expect(text.match(/echo request|Echo \(ping\) request/g)?.length).toBe(3);
            expect(text.match(/echo reply|Echo \(ping\) reply/g)?.length).toBe(3);
          });
          tcpdump.child.kill();
          await tcpdump.exit;
          expect(readFileSync(capture).length).toBeGreaterThan(0);
        });
      });
    }
  });
});
