// A third host, joined to one end of a tunnel, that floods it (flood.ts) from as many addresses as 198.18.0.0/15 has.
import { fileURLToPath } from "node:url";
import { eventually, Host, type Spawned } from "../device/host.ts";
import type { End } from "../device/tunnel.ts";

const SOURCES = "198.18.0.0/15";
const HERE = "192.0.3.1";
const THERE = "192.0.3.2";

export type Kind = "initiations" | "junk";
export type Flooder = {
  readonly host: Host;
  readonly start: (kind: Kind, port: number) => Promise<() => Promise<void>>;
  readonly close: () => Promise<void>;
};

export async function flooder(end: Pick<End, "host" | "publicKey">): Promise<Flooder> {
  const host = await Host.create();
  Host.join(host, "eth0", [`${HERE}/24`], end.host, "flood0", [`${THERE}/24`]);
  // Answers find their way, and nobody there.
  end.host.run("ip", "route", "add", SOURCES, "via", HERE);
  const program = fileURLToPath(new URL("flood.ts", import.meta.url));
  const start: Flooder["start"] = async (kind, port) => {
    const words = ["--import", import.meta.resolve("tsx"), program, kind, SOURCES, THERE, String(port), end.publicKey, "0"];
    const running: Spawned = host.spawn([process.execPath, ...words]);
    await eventually(() => {
      if (!running.output().includes("started")) throw new Error(`the flood does not start: ${running.output()}`);
    });
    return async () => {
      running.child.kill("SIGKILL");
      await running.exit;
    };
  };
  return { host, start, close: () => host.close() };
}

/** Frames on the flooded link so far: the floods', and what was answered to them (cookies, for the most part). */
export function frames({ host }: Pick<End, "host">): { readonly arrived: number; readonly answered: number } {
  const words = /flood0: *(.*)/.exec(host.run("cat", "/proc/net/dev"))![1]!.split(/ +/);
  return { arrived: Number(words[1]), answered: Number(words[9]) };
}
