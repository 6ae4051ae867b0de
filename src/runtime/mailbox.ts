// How the control thread and a data worker reach each other: words at the start of the shared memory, one mailbox a worker.
import { wake } from "../sys/eventfd.ts";

/** Words of a worker's mailbox. Control writes those marked C, the worker those marked D. */
export const Mail = {
  /** C: 1: end. */
  STOP: 0,
  /** C: counts up when a descriptor below changed; D: answers with the count it acts on, and notifies. */
  DESCRIPTORS: 1,
  DESCRIPTORS_SEEN: 2,
  /** C: descriptors; -1: none. */
  TUN: 3,
  WAKE: 4,
  LINK: 5,
  UDP4: 6,
  UDP6: 7,
  /** D sets, C clears: the control thread has been told that there is something to look at. */
  TOLD: 8,
  /** D sets, C takes: links of the namespace changed. */
  LINK_CHANGED: 9,
  /** D: 1: the TUN is gone for good. */
  TUN_GONE: 10,
  /** D, counter: inner packets that the TUN did not take (it is down, or its queue is full). */
  TUN_REFUSED: 11,
  /** D, counter: rounds of the loop. */
  ROUNDS: 12,
  /** D: bits of offloads that were switched off because the kernel refused them (offloads.ts). */
  FAULTS: 13,
  /** C: 1: rest between two rounds, until it is 0 again; D: 1 while it does, and notifies. */
  REST: 14,
  RESTING: 15,
  /** D, before it is ready: the clock of its processor time (sys/threadclock.ts). */
  CLOCK: 16,
  WORDS: 64,
} as const;

/** A worker answers within microseconds; it may be in the middle of a round. */
const PATIENCE_MS = 1000;

/** A worker's mailbox: indices are Mail.*. */
export const mailbox = (buffer: ArrayBufferLike, thread: number): Int32Array => new Int32Array(buffer, 4 * Mail.WORDS * thread, Mail.WORDS);

/** Tells the workers that descriptors in their mailboxes changed, and waits until none uses the old ones. False: one still may. */
export function announceDescriptors(mails: readonly Int32Array[]): boolean {
  const versions = mails.map((mail) => Atomics.add(mail, Mail.DESCRIPTORS, 1) + 1);
  for (const mail of mails) wake(Atomics.load(mail, Mail.WAKE));
  const end = Date.now() + PATIENCE_MS;
  return mails.every((mail, i) => {
    for (;;) {
      const seen = Atomics.load(mail, Mail.DESCRIPTORS_SEEN);
      const left = end - Date.now();
      if (seen === versions[i] || left <= 0) return seen === versions[i];
      Atomics.wait(mail, Mail.DESCRIPTORS_SEEN, seen, left);
    }
  });
}

/** Has all workers rest, with nothing of theirs in the middle. False: one did not within a second; then none does. */
export function rest(mails: readonly Int32Array[]): boolean {
  for (const mail of mails) Atomics.store(mail, Mail.REST, 1);
  for (const mail of mails) wake(Atomics.load(mail, Mail.WAKE));
  const end = Date.now() + PATIENCE_MS;
  const all = mails.every((mail) => {
    while (Atomics.load(mail, Mail.RESTING) === 0 && Date.now() < end) Atomics.wait(mail, Mail.RESTING, 0, end - Date.now());
    return Atomics.load(mail, Mail.RESTING) === 1;
  });
  if (!all) goOn(mails);
  return all;
}

export function goOn(mails: readonly Int32Array[]): void {
  for (const mail of mails) {
    Atomics.store(mail, Mail.REST, 0);
    Atomics.notify(mail, Mail.REST);
  }
}
