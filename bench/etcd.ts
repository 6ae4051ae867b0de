// Acknowledged writes a second on a real etcd: the store's beside those of a bare gRPC client, in turns on the same etcd.
//   npx tsx bench/etcd.ts [--rounds 5] [--seconds 3]
import { parseArgs } from "node:util";
import { Client, credentials } from "@grpc/grpc-js";
import { silent } from "../src/base/log.ts";
import { utf8 } from "../src/base/bytes.ts";
import { EQUAL, MOD, TXN, type TxnRequest, type TxnResponse } from "../src/store/etcd/rpc.ts";
import { EtcdStore } from "../src/store/etcd/store.ts";
import { Etcd } from "../test/etcd/etcd.ts";
import { MACHINE } from "./report.ts";
import { spread } from "./statistics.ts";

const VALUE = new Uint8Array(1500).fill(0x61);
type Write = (key: string) => Promise<void>;

/** Writes a second of so many writers, each waiting for its answer. */
async function rate(write: Write, writers: number, seconds: number, name: string): Promise<number> {
  const start = performance.now();
  let done = 0;
  await Promise.all(
    Array.from({ length: writers }, async (_, w) => {
      for (let i = 0; performance.now() - start < seconds * 1000; i++) {
        await write(`/bench/${name}/${w}/${i}`);
        done++;
      }
    }),
  );
  return done / ((performance.now() - start) / 1000);
}

export async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options: { rounds: { type: "string", default: "5" }, seconds: { type: "string", default: "3" } } });
  const etcd = await Etcd.start();
  try {
    const store = await EtcdStore.open({ endpoints: etcd.endpoints, tls: etcd.tls, login: undefined, log: silent, wall: Date.now });
    const { host, port } = etcd.endpoints[0]!;
    const client = new Client(`${host}:${port}`, credentials.createInsecure());
    const call = (request: TxnRequest): Promise<TxnResponse> =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(TXN.path, TXN.requestSerialize, TXN.responseDeserialize, request, (error, answer) =>
          answer ? resolve(answer) : reject(error ?? new Error("no answer")),
        );
      });
    const subjects: Record<string, Write> = {
      bare: async (name) => {
        const key = utf8(`/tortie-bare${name}`);
        const { succeeded } = await call({
          compare: [{ result: EQUAL, target: MOD, key, modRevision: 0 }],
          success: [{ requestPut: { key, value: VALUE } }],
          failure: [{ requestRange: { key } }],
        });
        if (!succeeded) throw new Error("refused");
      },
      store: async (key) => {
        const { done } = await store.commit({ conditions: [{ key, revision: 0 }], writes: [{ key, value: VALUE }] });
        if (!done) throw new Error("refused");
      },
    };
    process.stdout.write(
      `${MACHINE}\n1.5 KB values, created, with the condition that they are new; one etcd member on this machine; median (least .. most) of ${values.rounds} rounds\n\n`,
    );
    process.stdout.write("| writers | bare client, writes/s | store, writes/s | ratio |\n|---|---|---|---|\n");
    for (const writers of [1, 64]) {
      const rates: Record<string, number[]> = { bare: [], store: [] };
      for (let round = 0; round < Number(values.rounds); round++)
        for (const name of round % 2 === 0 ? ["bare", "store"] : ["store", "bare"])
          rates[name]!.push(await rate(subjects[name]!, writers, Number(values.seconds), `${name}-${writers}-${round}`));
      const ratios = rates.store!.map((r, i) => r / rates.bare![i]!);
      process.stdout.write(`| ${writers} | ${spread(rates.bare!, 0)} | ${spread(rates.store!, 0)} | ${spread(ratios, 2)} |\n`);
    }
    client.close();
    await store.close();
  } finally {
    await etcd.remove();
  }
}

if (process.argv[1] === import.meta.filename) await main(process.argv.slice(2));
