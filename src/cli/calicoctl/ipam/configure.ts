// ipam configure: the settings that IPAMConfiguration keeps.
import { IPAM_CONFIGURATION, type IPAMConfigurationSpec } from "../../../api/ipamconfiguration.ts";
import { apiVersionOf } from "../../../api/kind.ts";
import { TortieError } from "../../../base/errors.ts";
import type { Client } from "../../../client/types.ts";
import { ipamConfiguration } from "./load.ts";

export type ConfigureFlags = { strictaffinity?: string; maxBlocksPerHost?: string };

/** The words of Go's strconv.ParseBool. */
const WORDS: ReadonlyMap<string, boolean> = new Map([
  ...["1", "t", "T", "TRUE", "true", "True"].map((w) => [w, true] as const),
  ...["0", "f", "F", "FALSE", "false", "False"].map((w) => [w, false] as const),
]);

function parse(flags: ConfigureFlags): Partial<IPAMConfigurationSpec> {
  const { strictaffinity, maxBlocksPerHost } = flags;
  const strictAffinity = strictaffinity === undefined ? undefined : WORDS.get(strictaffinity);
  if (strictaffinity !== undefined && strictAffinity === undefined) throw new TortieError("invalid value. Use true or false to set strictaffinity");
  if (maxBlocksPerHost !== undefined && !(/^[0-9]{1,10}$/.test(maxBlocksPerHost) && Number(maxBlocksPerHost) < 2 ** 31))
    throw new TortieError(`invalid value ${maxBlocksPerHost} for max-blocks-per-host: it must be a whole number, 0 for no limit`);
  return {
    ...(strictAffinity === undefined ? {} : { strictAffinity }),
    ...(maxBlocksPerHost === undefined ? {} : { maxBlocksPerHost: Number(maxBlocksPerHost) }),
  };
}

/** Checks the flags, then asks for the client and writes; the result is what to print. */
export async function configure(flags: ConfigureFlags, connect: () => Promise<Client>): Promise<string> {
  const wanted = parse(flags);
  if (Object.keys(wanted).length === 0) throw new TortieError("at least one configuration option must be specified");
  const client = await connect();
  const current = await ipamConfiguration(client);
  if (current) await client.update(IPAM_CONFIGURATION, { ...current, spec: { ...current.spec, ...wanted } });
  else
    await client.create(IPAM_CONFIGURATION, {
      apiVersion: apiVersionOf(IPAM_CONFIGURATION),
      kind: IPAM_CONFIGURATION.kind,
      metadata: { name: "default" },
      spec: { strictAffinity: false, autoAllocateBlocks: true, ...wanted },
    });
  const told = [
    ["StrictAffinity", wanted.strictAffinity],
    ["MaxBlocksPerHost", wanted.maxBlocksPerHost],
  ] as const;
  return told.flatMap(([name, value]) => (value === undefined ? [] : [`Successfully set ${name} to: ${value}\n`])).join("");
}
