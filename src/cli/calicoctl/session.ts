// One call of calicoctl: its flags, and the connection that is made when something asks for it.
import type { Command } from "commander";
import { TortieError } from "../../base/errors.ts";
import type { RestClient } from "../../client/rest.ts";
import { clientOf } from "../connect.ts";
import { backend, type Backend } from "./backend.ts";
import { type ConfigFlags, configured } from "./config.ts";
import { checkVersion } from "./version.ts";

export type Global = ConfigFlags & { allowVersionMismatch?: boolean; logLevel?: string };
export const LOG_LEVELS = ["panic", "fatal", "error", "warn", "info", "debug"] as const;

export class Session {
  readonly #flags: Global;
  #client: Promise<RestClient> | undefined;
  constructor(flags: Global) {
    this.#flags = flags;
    if (flags.logLevel !== undefined && !(LOG_LEVELS as readonly string[]).includes(flags.logLevel))
      throw new TortieError(`unknown log level: ${flags.logLevel}, expected one of: ${LOG_LEVELS.join(", ")}`);
  }
  /** Whatever version and layout the cluster has. */
  readonly client = (): Promise<RestClient> => (this.#client ??= this.#connect());
  /** Throws when the cluster is of another version, unless that was allowed. */
  readonly checked = async (): Promise<RestClient> => {
    const client = await this.client();
    if (!this.#flags.allowVersionMismatch) await checkVersion(client);
    return client;
  };
  readonly backend = async (): Promise<Backend> => backend(await this.checked());

  async #connect(): Promise<RestClient> {
    const { endpoint, apiGroup } = await configured(this.#flags);
    return clientOf(endpoint, apiGroup);
  }
  async close(): Promise<void> {
    await (await this.#client?.catch(() => undefined))?.close();
  }
}

/** Runs `act` with a session made of the command's flags and its root's. */
export async function during(command: Command, act: (session: Session) => Promise<number>): Promise<number> {
  const session = new Session(command.optsWithGlobals());
  try {
    return await act(session);
  } finally {
    await session.close();
  }
}

/** For commands that end with a text. */
export const printing = (command: Command, act: (session: Session) => Promise<string>): Promise<number> =>
  during(command, async (session) => {
    process.stdout.write(await act(session));
    return 0;
  });
