// A disk that is nearly full, one that is full all at once, and one that does not sync: nothing is answered that is not on it, the reason is said, reads go
// on, and what was answered is there afterwards.
import { join } from "node:path";
import { expect, test } from "vitest";
import { openLmdbStore } from "../../src/store/lmdb.ts";
import { put } from "../../src/store/steps.cases.ts";
import { describeRoot } from "../peers.ts";
import { DIST, ownDirectory, told, words } from "./child.ts";

describeRoot("a disk that fails", () => {
  type Full = {
    answered: number;
    error: { reason: string; message: string };
    reads: number;
    seen: number;
    logged: string[];
    goesOn: number[];
    well: boolean;
  };
  test("full: writes are refused before there is no space at all, reads go on, and with space again writes do", async () => {
    const directory = ownDirectory();
    const program = `
      writeFileSync(directory + "/ballast", Buffer.alloc(20_000_000));
      const logged = [];
      const log = Object.fromEntries(["debug", "info", "warn", "error"].map((level) => [level, (message) => logged.push(level + ": " + message)]));
      store = await openLmdbStore(directory + "/store", Date.now, log);
      let answered = 0;
      let error;
      let seen = 0;
      store.watch("", store.revision, () => seen++);
      while (!error) await put("/k/" + answered, "x".repeat(5000) + answered).then(() => answered++, (e) => { error = e; });
      for (const write of [put("/later", "1"), put("/k/0"), store.compact(2)])
        if ((await write.catch((e) => e.reason)) !== "unavailable") throw new Error("not refused");
      const reads = (await store.range("/k/")).items.length;
      if (store.failure?.reason !== "unavailable") throw new Error("well");
      rmSync(directory + "/ballast");
      const goesOn = [(await put("/later", "1")).revision, store.revision];
      say({ answered, error: { reason: error.reason, message: error.message }, reads, seen, logged, goesOn, well: store.failure === undefined });
      await store.close();`;
    // The file system is the program's own, and ends with it.
    const mount = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=40m tmpfs "$0" && exec "$@"', directory];
    const [result] = (await told([...mount, ...words(program, directory)])) as [Full];
    expect(result.answered).toBeGreaterThan(100);
    const full = /the disk of ".*store\.mdb" is full: [0-9.]+ MB are left, [0-9.]+ MB are needed; nothing is written until there is more space$/;
    expect(result.error).toEqual({ reason: "unavailable", message: expect.stringMatching(full) as string });
    expect([result.reads, result.seen]).toEqual([result.answered, result.answered + 1]);
    // Nothing of what was refused took a revision.
    expect(result.goesOn).toEqual([result.answered + 2, result.answered + 2]);
    expect([result.well, result.logged]).toEqual([true, [expect.stringMatching(full), expect.stringMatching(/^info: .*space again$/)]]);
  });

  const [datasync, pwrite, seccomp] = process.arch === "x64" ? [75, 18, 317] : [83, 68, 277];
  test.for([
    { name: "does not sync", call: datasync, errno: 5, why: "Input/output error" },
    { name: "is full all at once", call: pwrite, errno: 28, why: "No space left on device" },
  ])("$name: no answer more, reads go on, the reason is said, and after a new start what was answered is there", async ({ call, errno, why }) => {
    const directory = join(ownDirectory(), "store");
    // seccomp(2) on all threads: the call answers the error; all else is allowed.
    const program = `
      const { address, bind } = await import("${DIST}/sys/ffi.js");
      const logged = [];
      const silent = () => {};
      store = await openLmdbStore(directory, Date.now, { debug: silent, info: silent, warn: silent, error: (message, fields) => logged.push([message, fields.error]) });
      for (let i = 0; i < 5; i++) await put("/k/" + i, String(i));
      const rules = [[0x20,0,0,0],[0x15,0,1,${call}],[0x06,0,0,0x50000+${errno}],[0x06,0,0,0x7fff0000]];
      const code = Buffer.alloc(8*rules.length);
      rules.forEach(([c,t,f,k],i)=>{code.writeUInt16LE(c,8*i);code[8*i+2]=t;code[8*i+3]=f;code.writeUInt32LE(k,8*i+4)});
      const filter = Buffer.alloc(16); filter.writeUInt16LE(rules.length,0); filter.writeBigUInt64LE(BigInt(address(code)),8);
      bind("int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)")(38,1,0,0,0);
      if (Number(bind("long syscall(long, unsigned int, unsigned int, void *)")(${seccomp},1,1,filter)) !== 0) throw new Error("no seccomp");
      const seen = [];
      store.watch("", store.revision, (changes) => seen.push(changes[0].key));
      const errors = await Promise.all([0,1,2].map((i) => put("/late/" + i, "1").then(() => "answered", (e) => e.message)));
      const again = await put("/later", "1").then(() => "answered", (e) => e.message);
      const reads = (await store.range("")).items.map((s) => s.key + s.value);
      await store.close();
      say({ errors: [...errors, again], reads, seen, logged });`;
    type Result = { errors: string[]; reads: string[]; seen: string[]; logged: [string, string][] };
    const [result] = (await told(words(program, directory))) as [Result];
    expect(result.errors).toHaveLength(4);
    for (const error of result.errors)
      expect(error).toMatch(new RegExp(`^the store cannot be written \\(.*${why}.*\\): no more writes until the server is started again$`));
    const answered = [0, 1, 2, 3, 4].map((i) => `/k/${i}${i}`);
    expect([result.reads, result.seen]).toEqual([answered, []]);
    expect(result.logged).toEqual([["the store cannot be written: no more writes until the server is started again", expect.stringContaining(why)]]);
    const store = await openLmdbStore(directory, Date.now);
    const { items } = await store.range("/k/");
    expect(items.map((s) => `${s.key}${Buffer.from(s.value).toString()}`)).toEqual(answered);
    // What was under way may be there, as one transaction or three; nobody was told.
    expect((await put(store, "/after", "1")).done).toBe(true);
    await store.close();
  });
});
