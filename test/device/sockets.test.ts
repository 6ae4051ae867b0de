// The UDP sockets while they are exchanged under a data worker's hands.
import { fstatSync } from "node:fs";
import { expect, test } from "vitest";
import { Mail, mailbox } from "../../src/runtime/mailbox.ts";
import { plan } from "../../src/runtime/plan.ts";
import { Sockets } from "../../src/runtime/sockets.ts";
import { share } from "../../src/sys/memory.ts";
import { Slab } from "../../src/sys/slab.ts";

const isOpen = (fd: number): boolean => {
  try {
    return fstatSync(fd).isSocket();
  } catch {
    return false;
  }
};

test("sockets that the worker may still use stay open until it has let go of them", () => {
  const { control, bytes } = plan(1, { peers: 1, trieNodes: 1, stagedSlots: 1, stagedBytes: 1500, handshakeCells: 1 });
  const slab = new Slab(share(bytes), control, bytes);
  const mail = mailbox(slab.buffer, 0);
  mail[Mail.WAKE] = -1;
  const sockets = new Sockets(slab, [mail], { gro: true });
  // A worker that answers at once: what it will be asked for is already there.
  const answer = (): unknown => Atomics.store(mail, Mail.DESCRIPTORS_SEEN, Atomics.load(mail, Mail.DESCRIPTORS) + 1);
  const inUse = (): number[] => [Mail.UDP4, Mail.UDP6].map((w) => mail[w]!).filter((fd) => fd >= 0);

  sockets.open(0);
  answer();
  sockets.publish([-1]);
  const first = inUse();
  // Now it hangs.
  sockets.open(0);
  sockets.publish([-1]);
  const second = inUse();
  expect([...first, ...second].map(isOpen)).not.toContain(false);
  answer();
  sockets.close();
  expect([...first, ...second].map(isOpen)).not.toContain(true);
});
