// What a person is told whose credentials the API server does not take. The server says no more than "Unauthorized": it does not know to whom.
import { isApiError } from "../api/status.ts";
import { TortieError } from "../base/errors.ts";

/** `thrown`, in other words when it is a 401. */
export const unauthorized = (thrown: unknown): unknown =>
  isApiError(thrown, "Unauthorized")
    ? new TortieError("Cannot go on: the API server does not take these credentials (Unauthorized)", {
        hint: "They expired, were used up or taken back, or are of another cluster; the server's audit log says which. Ask its administrator for new ones.",
        cause: thrown,
      })
    : thrown;
