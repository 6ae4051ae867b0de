import { describe, expect, test } from "vitest";
import { helloOf, helloText, Link, welcomeOf } from "./nodelink.ts";
import {
  CHANNEL,
  creditFrame,
  creditOf,
  decodeFrame,
  encodeFrame,
  type Frame,
  PIECE,
  ReceiveWindow,
  sendData,
  SendWindow,
  WINDOW,
} from "./nodestream.ts";

const frame = (n: number, size = 0): Uint8Array => encodeFrame({ stream: n, channel: CHANNEL.stdout, payload: new Uint8Array(size) });
const turns = async (): Promise<void> => {
  for (let i = 0; i < 5; i++) await Promise.resolve();
};

describe("frames", () => {
  test("come back as they went, and are laid out as written down", () => {
    const f: Frame = { stream: 0xfffffffe, channel: CHANNEL.open, payload: Uint8Array.of(1, 2, 3) };
    expect([...encodeFrame(f)]).toEqual([0xff, 0xff, 0xff, 0xfe, 254, 1, 2, 3]);
    expect(decodeFrame(encodeFrame(f))).toEqual(f);
    expect(decodeFrame(Uint8Array.of(0, 0, 0, 1))).toBeUndefined();
    expect(decodeFrame(new Uint8Array(16).subarray(3, 8))).toEqual({ stream: 0, channel: 0, payload: new Uint8Array() });
  });
  test("a credit of another size is none", () => {
    expect(creditOf(decodeFrame(creditFrame(7, 70_000))!.payload)).toBe(70_000);
    expect(creditOf(new Uint8Array(3))).toBe(0);
  });
});

describe("windows", () => {
  test("no more than a window is on its way, whatever is sent; all of it arrives in order", async () => {
    const [out, back] = [new SendWindow(), new ReceiveWindow()];
    const data = new Uint8Array(3 * WINDOW + 12_345).map((_, i) => i * 7);
    const way: Uint8Array[] = [];
    const arrived: Uint8Array[] = [];
    let most = 0;
    const sending = sendData(out, data, (piece) => {
      expect(piece.length).toBeLessThanOrEqual(PIECE);
      expect(back.receive(piece.length)).toBe(true);
      way.push(piece);
      most = Math.max(
        most,
        way.reduce((n, p) => n + p.length, 0),
      );
    });
    let done = false;
    void sending.then(() => (done = true));
    while (!done) {
      await turns();
      const piece = way.shift();
      if (!piece) continue;
      arrived.push(piece);
      out.give(back.pass(piece.length));
    }
    arrived.push(...way);
    expect(Buffer.concat(arrived).equals(data)).toBe(true);
    expect(most).toBeLessThanOrEqual(WINDOW);
    expect(most).toBeGreaterThan(WINDOW / 2);
  });
  test("one that is not read stops; when it ends the sender goes on without sending", async () => {
    const out = new SendWindow();
    let sent = 0;
    const sending = sendData(out, new Uint8Array(2 * WINDOW), (piece) => void (sent += piece.length));
    await turns();
    for (let i = 0; i < 100; i++) await Promise.resolve();
    expect(sent).toBe(WINDOW);
    out.close();
    await sending;
    expect(sent).toBe(WINDOW);
  });
  test("who sends more than its window is seen; credits beyond the window are not believed", async () => {
    const back = new ReceiveWindow();
    expect(back.receive(WINDOW)).toBe(true);
    expect(back.receive(1)).toBe(false);
    const out = new SendWindow();
    out.give(2 ** 32 - 1);
    expect(await out.take(2 * WINDOW)).toBe(WINDOW);
  });
});

/** Two links on a connection that is cut now and then, in the middle of what is on its way. */
class Pair {
  readonly got: { readonly a: number[]; readonly b: number[] } = { a: [], b: [] };
  readonly a: Link = new Link((f) => void this.got.a.push(f.stream));
  readonly b: Link = new Link((f) => void this.got.b.push(f.stream));
  #way: { to: Link; message: string | Uint8Array }[] = [];
  connect(): void {
    const [a, b] = [this.a.received, this.b.received];
    expect([this.a.resumable(b), this.b.resumable(a)]).toEqual([true, true]);
    const carry = (to: Link) => async (message: string | Uint8Array) => void this.#way.push({ to, message });
    this.a.attach(carry(this.b), b);
    this.b.attach(carry(this.a), a);
  }
  /** Lets so many messages through. */
  run(n: number): void {
    for (; n > 0 && this.#way.length > 0; n--) {
      const { to, message } = this.#way.shift()!;
      expect(to.message(message)).toBe(true);
    }
  }
  cut(): void {
    this.#way = [];
    this.a.detach();
    this.b.detach();
  }
}

describe("a link", () => {
  test.for(Array.from({ length: 50 }, (_, seed) => seed))("loses and repeats nothing over cut connections (seed %i)", (seed) => {
    let state = seed + 1;
    const random = (below: number): number => ((state = (state * 1_103_515_245 + 12_345) % 2 ** 31), Math.floor((state / 2 ** 31) * below));
    const pair = new Pair();
    const sent = { a: 0, b: 0 };
    let connected = false;
    for (let step = 0; step < 400; step++) {
      const what = random(10);
      if (what < 4) void pair.a.send(frame(++sent.a, random(40_000)));
      else if (what < 7) void pair.b.send(frame(++sent.b));
      else if (what < 9) pair.run(random(20));
      else {
        if (connected) pair.cut();
        else pair.connect();
        connected = !connected;
      }
    }
    pair.cut();
    pair.connect();
    pair.run(Infinity);
    const counted = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);
    expect(pair.got).toEqual({ a: counted(sent.b), b: counted(sent.a) });
  });
  test("what the other side has is forgotten, and cannot be asked for again", () => {
    const pair = new Pair();
    pair.connect();
    for (let i = 1; i <= 100; i++) void pair.a.send(frame(i));
    pair.run(Infinity);
    expect([pair.a.resumable(0), pair.a.resumable(95), pair.a.resumable(96), pair.a.resumable(101)]).toEqual([false, false, true, false]);
    pair.b.tell();
    pair.run(Infinity);
    expect([pair.a.resumable(99), pair.a.resumable(100)]).toEqual([false, true]);
  });
  test.for(["{", "null", '{"received":-1}', '{"received":5}', '{"received":"0"}', '{"received":0.5}', new Uint8Array(4)])(
    "a message that makes no sense is said to be one: %j",
    (message) => {
      const link = new Link(() => {});
      void link.send(frame(1));
      expect(link.message(message)).toBe(false);
    },
  );
  test("a side that never says what it got makes the other one keep a bounded lot", () => {
    const link = new Link(() => {});
    link.attach(async () => {}, 0);
    for (let i = 0; i < 2500; i++) void link.send(frame(1, PIECE));
    expect(link.message(frame(1))).toBe(false);
  });
});

describe("greetings", () => {
  const hello = { agent: "0123456789abcdef", link: "0123456789abcdef", received: 3 };
  test("come back as they went", () => {
    expect(helloOf(helloText(hello))).toEqual(hello);
    expect(welcomeOf(helloText({ resumed: true, received: 3 }))).toEqual({ resumed: true, received: 3 });
  });
  test.for([
    "",
    "{}",
    "[]",
    '{"hello":null}',
    '{"hello":{"agent":1}}',
    JSON.stringify({ hello: { ...hello, link: "../../etc" } }),
    JSON.stringify({ hello: { ...hello, received: -1 } }),
  ])("%j is none", (text) => {
    expect(helloOf(text)).toBeUndefined();
    expect(welcomeOf(text)).toBeUndefined();
  });
});
