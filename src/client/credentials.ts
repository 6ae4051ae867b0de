// What a client shows of who it is: from files that are renewed in place, or from a plug-in.
import { identityIn } from "./identity.ts";
import type { Endpoint } from "./kubeconfig.ts";
import { tokenIn } from "./token.ts";

export type Shown = { readonly cert?: string; readonly key?: string; readonly token?: string };

export interface Credentials {
  /** What to show now. Throws TortieError. */
  current(): Promise<Shown>;
  /** The server did not know who came with these (401). True where asking again may give others. */
  refused(shown: Shown): boolean;
  /** Gives up what is under way. */
  close(): void;
}

/** The credentials that an endpoint names. */
export function credentialsOf(endpoint: Endpoint): Credentials {
  const { plugin, token, tokenFile } = endpoint;
  const identity = identityIn(endpoint);
  const tokenOf = tokenFile === undefined ? (): string | undefined => token : tokenIn(tokenFile, token);
  const fixed = (): Shown => {
    const now = tokenOf();
    return { ...identity(), ...(now ? { token: now } : {}) };
  };
  if (!plugin) return { current: async () => fixed(), refused: () => false, close: () => {} };
  // Loaded with the first request: few have one.
  let source: Promise<Credentials> | undefined;
  let loaded: Credentials | undefined;
  return {
    current: async () => {
      source ??= import("./execcredential.ts").then(({ pluginCredentials }) => (loaded = pluginCredentials(plugin)));
      return (await source).current();
    },
    refused: (shown) => loaded?.refused(shown) ?? false,
    close: () => loaded?.close(),
  };
}
