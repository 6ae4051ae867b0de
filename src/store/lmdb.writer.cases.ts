// The process that the kill -9 test kills: writes pairs of keys as fast as it can and says each one that was answered.
import { utf8 } from "../base/bytes.ts";
import { openLmdbStore } from "./lmdb.ts";

const [directory, round] = process.argv.slice(2) as [string, string];
const store = await openLmdbStore(directory, Date.now);
async function writer(id: number): Promise<never> {
  for (let i = 0; ; i++) {
    const key = `${round}-${id}-${i}`;
    const done = await store.commit({
      conditions: [{ key: `/a/${key}`, revision: 0 }],
      writes: [
        { key: `/a/${key}`, value: utf8(key) },
        { key: `/b/${key}`, value: utf8(key) },
      ],
    });
    if (done.done) process.stdout.write(`${key} ${done.revision}\n`);
  }
}
await Promise.all([1, 2, 3, 4].map(writer));
