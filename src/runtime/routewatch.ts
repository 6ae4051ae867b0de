// Calls when the kernel's routes changed, for as long as it is not stopped.
import { readable } from "../sys/poller.ts";
import type { Routes } from "../sys/routes.ts";

/** Where routes change all the time, looking at them takes at most one part in so many of a core. */
const SHARE = 10;

/** `look` is called after changes, of which many may have come. Resolves once `signal` has aborted: `routes` is no longer used then. */
export async function watchRoutes(routes: Routes, look: () => void, signal: AbortSignal): Promise<void> {
  for (;;) {
    await readable(routes.changes, signal);
    if (signal.aborted) return;
    const start = performance.now();
    routes.heard();
    look();
    await new Promise((resolve) => setTimeout(resolve, (SHARE - 1) * (performance.now() - start)));
  }
}
