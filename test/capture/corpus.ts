// Where captures that other people made lie, if they do: they are not in this repository.
import { existsSync, readdirSync, readFileSync } from "node:fs";

const directory = new URL("../../../shared/captures/", import.meta.url);

export const hasShared = (): boolean => existsSync(directory);
export const sharedPath = (name: string): string => new URL(name, directory).pathname;
export const shared = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(name, directory)));
/** All of them; none where there are none. */
export const sharedCaptures = (): Uint8Array[] =>
  hasShared()
    ? readdirSync(directory, { recursive: true, encoding: "utf8" })
        .filter((f) => /\.pcap(ng)?$/.test(f))
        .map(shared)
    : [];
