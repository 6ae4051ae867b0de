// A disk that is full, and one that does not sync: nothing more is answered, the reason is said, reads go on, and what was answered is there afterwards.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeRoot } from "../peers.ts";
import { ownDirectory, told, words } from "./child.ts";

const DIST = new URL("../../dist", import.meta.url).pathname;

describeRoot("a disk that fails", () => {
  type Full = {
    answered: number;
    error: string;
    hint: string;
    later: string;
    reads: number;
    failure: string;
    again: number[];
    content: boolean;
    goesOn: boolean;
  };
  test("full: after space was made and a restart, everything that was answered is there", async () => {
    const directory = ownDirectory();
    const program = `
      writeFileSync(directory + "/ballast", Buffer.alloc(2_000_000));
      store = await openLmdbStore(directory + "/store", Date.now);
      let answered = 0;
      let error;
      const seen = [];
      store.watch("", store.revision, (changes) => seen.push(changes[0].key));
      while (!error) await put("/k/" + String(answered).padStart(6, "0"), "x".repeat(5000) + answered).then(() => answered++, (e) => { error = e; });
      const later = await put("/later", "1").catch((e) => e.message);
      const removed = await put("/k/000000").catch((e) => e.message);
      const reads = (await store.range("/k/")).items.length;
      const failure = store.failure?.message;
      if (seen.length !== answered || removed !== later) throw new Error("watchers were told of " + seen.length + ", " + removed);
      await store.close();
      rmSync(directory + "/ballast");
      store = await openLmdbStore(directory + "/store", Date.now);
      const { items } = await store.range("/k/");
      const content = items.slice(0, answered).every((s, i) => s.value.toString() === "x".repeat(5000) + i);
      const goesOn = (await put("/later", "1")).done;
      say({ answered, error: error.message, later, reads, failure, again: [items.length, answered], content, goesOn });
      await store.close();`;
    // The file system is the program's own, and ends with it.
    const mount = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=8m tmpfs "$0" && exec "$@"', directory];
    const [result] = (await told([...mount, ...words(program, directory)])) as [Full];
    expect(result.answered).toBeGreaterThan(100);
    expect(result.error).toMatch(
      /^the store cannot be written \(.*(No space left|Input\/output error).*\): no more writes until the server is started again$/,
    );
    expect([result.later, result.failure]).toEqual([result.error, result.error]);
    expect(result.reads).toBe(result.answered);
    // What was under way when the disk was full may be there; nobody was told so.
    expect(result.again[0]! - result.again[1]!).toBeGreaterThanOrEqual(0);
    expect(result.again[0]! - result.again[1]!).toBeLessThanOrEqual(1);
    expect([result.content, result.goesOn]).toEqual([true, true]);
  });

  test("does not sync: no answer more, reads go on, and it ends in order", async () => {
    const directory = join(ownDirectory(), "store");
    mkdirSync(directory);
    // seccomp(2) on all threads: fdatasync, with which LMDB syncs, answers EIO (5); all else is allowed.
    const [datasync, seccomp] = process.arch === "x64" ? [75, 317] : [83, 277];
    const program = `
      const { address, bind } = await import("${DIST}/sys/ffi.js");
      store = await openLmdbStore(directory, Date.now);
      for (let i = 0; i < 5; i++) await put("/k/" + i, String(i));
      const rules = [[0x20,0,0,0],[0x15,0,1,${datasync}],[0x06,0,0,0x50000+5],[0x06,0,0,0x7fff0000]];
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
      say({ errors: [...errors, again], reads, seen });`;
    const [result] = (await told(words(program, directory))) as [{ errors: string[]; reads: string[]; seen: string[] }];
    for (const error of result.errors) expect(error).toMatch(/^the store cannot be written \(.*Input\/output error.*\)/);
    expect(result.errors).toHaveLength(4);
    expect(result.reads).toEqual([0, 1, 2, 3, 4].map((i) => `/k/${i}${i}`));
    expect(result.seen).toEqual([]);
  });
});
