// The server's refusals as kubectl prints them.
import { messageOf, TortieError } from "../../base/errors.ts";
import { ApiError } from "../../client/error.ts";

/** What kubectl says of an ApiError, `doing` in front of the server's words; other errors stay. */
export function refusal(thrown: unknown, doing = ""): unknown {
  if (!(thrown instanceof ApiError)) return thrown;
  const { details } = thrown.status;
  if (thrown.code === 401) return new TortieError(`error: You must be logged in to the server (${thrown.message})`, { cause: thrown });
  if (thrown.reason === "Invalid") {
    const what = details?.kind ? `The ${details.kind} "${details.name ?? ""}" is invalid` : "The request is invalid";
    const causes = (details?.causes ?? []).map((c) => `${c.field ?? ""}: ${c.message ?? ""}`);
    const list = causes.length > 1 ? `\n${causes.map((c) => `* ${c}`).join("\n")}` : (causes[0] ?? thrown.message);
    return new TortieError(`${what}: ${list}`, { cause: thrown });
  }
  return new TortieError(`Error from server${thrown.reason === "" ? "" : ` (${thrown.reason})`}: ${doing}${thrown.message}`, { cause: thrown });
}

/** The sentence for stderr. */
export const refusalText = (thrown: unknown): string => messageOf(refusal(thrown));
