import { describe, expect, test } from "vitest";
import { sections } from "./device.ts";
import { readPing } from "./ping.ts";

describe("readPing()", () => {
  const one = (n: number, got: number, first?: number): string =>
    `PING 172.16.2.1 (172.16.2.1) 56(84) bytes of data.\n${first === undefined ? "" : `64 bytes from 172.16.2.1: icmp_seq=1 ttl=62 time=${first} ms\n`}` +
    `64 bytes from 172.16.2.1: icmp_seq=2 ttl=62 time=0.5 ms\n\n--- 172.16.2.1 ping statistics ---\n${n} packets transmitted, ${got} received, 0% packet loss, time 4ms\n`;
  test("reads iputils' summary and the first reply's time", () =>
    expect(readPing(one(3, 3, 0.412))).toEqual([{ sent: 3, received: 3, first: 0.412 }]));
  test("reads several pings of one session, with carriage returns of a terminal", () =>
    expect(readPing((one(3, 3, 1.2) + one(5, 4, 0.3)).replaceAll("\n", "\r\n"))).toEqual([
      { sent: 3, received: 3, first: 1.2 },
      { sent: 5, received: 4, first: 0.3 },
    ]));
  test("a lost first request has no first reply, also when a later ping has one", () =>
    expect(readPing(one(3, 2) + one(3, 3, 0.7))).toEqual([
      { sent: 3, received: 2, first: undefined },
      { sent: 3, received: 3, first: 0.7 },
    ]));
  test("busybox' words are read too", () =>
    expect(readPing("3 packets transmitted, 2 packets received, 33% packet loss\n")[0]).toMatchObject({ sent: 3, received: 2 }));
  test("no summary is no ping", () => expect(readPing("ping: unknown host\n")).toEqual([]));
});

test("sections() reads wg's configuration format", () => {
  const [own, ...peers] = sections(
    "[Interface]\nListenPort = 51820\nFwMark = 0x200000\n\n[Peer]\nPublicKey = a=\nAllowedIPs = 10.0.0.0/24, 10.0.1.1/32\n\n[Peer]\nPublicKey = b=\n",
  );
  expect(own).toEqual({
    name: "Interface",
    fields: new Map([
      ["ListenPort", "51820"],
      ["FwMark", "0x200000"],
    ]),
  });
  expect(peers.map((p) => [p.name, p.fields.get("PublicKey"), p.fields.get("AllowedIPs")])).toEqual([
    ["Peer", "a=", "10.0.0.0/24, 10.0.1.1/32"],
    ["Peer", "b=", undefined],
  ]);
});
