// The life of a session as test/long/session.ts has it in real time, by a clock that is moved by hand: two of ours, either role, with and without delay.
import { expect, test } from "vitest";
import { type Datagram, Node, packet, pair } from "./rig.cases.ts";

const rows = (["a", "b"] as const).flatMap((initiator) =>
  [0, 60].flatMap((delay) => [undefined, "5a".repeat(32)].map((psk) => ({ initiator, delay, psk }))),
);

test.for(rows)("renewed, silent, made anew, found again; $initiator begins, $delay ms of delay, pre-shared key $psk", ({ initiator, delay, psk }) => {
  const { net, a, b } = pair(psk === undefined ? {} : { psk });
  net.delay = delay;
  const [first, second] = initiator === "a" ? [a, b] : [b, a];
  const to = (node: Node): Uint8Array => (node === a ? packet("10.0.0.2", "10.0.0.1") : packet("10.0.0.1", "10.0.0.2"));
  /** Messages of a type since the last look, by sender. */
  const handshakes = (): string[] => {
    const names = (d: Datagram): string => `${d.from.ip.join(".") === a.at.ip.join(".") ? "a" : "b"}${d.bytes[0]}`;
    return net.log
      .splice(0)
      .map(names)
      .filter((n) => !n.endsWith("4"));
  };
  const by = (node: Node, times: number): string[] => Array.from({ length: times }, () => (node === a ? ["a1", "b2"] : ["b1", "a2"])).flat();

  // Ten pings a second for 130 s, each answered.
  for (let i = 0; i < 1300; i++) {
    first.send(to(second));
    net.pass(delay + 10);
    second.send(to(first));
    net.pass(90 - delay);
  }
  net.pass(200);
  expect([first.inbox.length, second.inbox.length]).toEqual([1300, 1300]);
  expect(handshakes()).toEqual(by(first, 2));

  // Silence: after the keepalives, 10 s after what nothing answered and then perhaps once more, nothing is sent.
  net.pass(25_000);
  expect(handshakes()).toEqual([]);
  net.pass(165_000);
  expect(net.log).toEqual([]);
  second.send(to(first));
  net.pass(1000);
  expect(first.inbox.length).toBe(1301);
  expect(handshakes()).toEqual(by(second, 1));

  // The first is killed, and comes back without a session; the second speaks, and begins one 15 s later.
  net.nodes.splice(net.nodes.indexOf(first), 1);
  const again = new Node(net, first.at, { privateKey: first.device.privateKey()! });
  again.addPeer(second, { endpoint: second.at, allowed: second === a ? ["10.0.0.1/32"] : ["10.0.0.2/32"], ...(psk === undefined ? {} : { psk }) });
  for (let i = 0; i < 30 && again.inbox.length === 0; i++) {
    second.send(to(first));
    net.pass(1000);
  }
  expect(again.inbox.length).toBeGreaterThan(0);
  expect(handshakes()).toEqual(by(second, 1));
});
