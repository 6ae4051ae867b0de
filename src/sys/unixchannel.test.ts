import { closeSync, fstatSync, openSync, readFileSync, readdirSync, unlinkSync, writeSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { closeFd } from "./descriptor.ts";
import { connectUnix, UnixChannel } from "./unixchannel.ts";

describe("UnixChannel", () => {
  const path = join(tmpdir(), `tortie-test-${process.pid}.sock`);
  let close: () => Promise<void>;
  let here: number;
  let there: Socket;
  let a: UnixChannel;
  let b: UnixChannel;
  beforeEach(async () => {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const accepted = new Promise<Socket>((resolve) => server.once("connection", resolve));
    here = connectUnix(path);
    there = await accepted;
    a = new UnixChannel(here);
    b = new UnixChannel((there as unknown as { _handle: { fd: number } })._handle.fd);
    close = async () => {
      there.destroy();
      await new Promise((resolve) => server.close(resolve));
    };
  });
  afterEach(async () => {
    closeFd(here);
    await close();
  });

  test("carries bytes and working descriptors, both ways", () => {
    const file = join(tmpdir(), `tortie-test-${process.pid}.txt`);
    const fd = openSync(file, "w");
    a.send(7, new Uint8Array([1, 2, 3]), [fd, fd], 1000);
    closeSync(fd);
    const got = b.receive(1000)!;
    expect([got.kind, ...got.bytes]).toEqual([7, 1, 2, 3]);
    expect(got.fds.length).toBe(2);
    writeSync(got.fds[0]!, "through ");
    writeSync(got.fds[1]!, "both");
    expect(readFileSync(file, "utf8")).toBe("through both");
    // They do not leak into programs that are started.
    for (const passed of got.fds) {
      expect(readFileSync(`/proc/self/fdinfo/${passed}`, "utf8")).toMatch(/^flags:\s+0?2[0-7]{6}$/m);
      closeSync(passed);
    }
    unlinkSync(file);
    b.send(0, new Uint8Array(0), [], 1000);
    expect(a.receive(1000)).toEqual({ kind: 0, bytes: new Uint8Array(0), fds: [] });
  });

  test("messages stay apart, and their descriptors with them", () => {
    for (let kind = 1; kind <= 3; kind++) a.send(kind, new Uint8Array(kind), [here], 1000);
    for (let kind = 1; kind <= 3; kind++) {
      const got = b.receive(1000)!;
      expect([got.kind, got.bytes.length, got.fds.length]).toEqual([kind, kind, 1]);
      got.fds.forEach((fd) => closeFd(fd));
    }
  });

  test("says who is at the other end", () => {
    expect(b.peer()).toEqual({ pid: process.pid, uid: process.getuid!() });
  });

  test("undefined when the other end has closed, also in the middle of a message", () => {
    a.send(1, new Uint8Array(3), [], 1000);
    there.destroy();
    expect(() => a.send(1, new Uint8Array(3), [], 1000)).toThrow("EPIPE");
    expect(() => a.receive(1000)).toThrow("ECONNRESET"); // it closed with our message unread
  });

  test("a message that does not come, or is not taken, ends in time; descriptors of half a message are closed", () => {
    expect(() => b.receive(30)).toThrow("ETIMEDOUT");
    const before = readdirSync("/proc/self/fd").length;
    // Far more than the socket's buffer holds: the other end sees the header and a part.
    expect(() => a.send(1, new Uint8Array(8 << 20), [here], 30)).toThrow("ETIMEDOUT");
    expect(() => b.receive(30)).toThrow("ETIMEDOUT");
    expect(readdirSync("/proc/self/fd").length).toBe(before);
    expect(fstatSync(here).isSocket()).toBe(true);
  });

  test("connectUnix() says what is wrong", () => {
    expect(() => connectUnix("/nonexistent/sock")).toThrow('Cannot connect to "/nonexistent/sock": ENOENT');
    expect(() => connectUnix("x".repeat(108))).toThrow("ENAMETOOLONG");
  });
});
