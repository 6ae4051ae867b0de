import { defineConfig } from "vitest/config";

// unit: in process, no root. system: real processes, sockets and kernel objects; needs root and dist/ (npm test builds it first).
// lab: whole clusters: after the others, one at a time, because two cores are few.
// The limits are for what hangs. They are some ten times what the slowest test takes here, so that no busy machine reaches them.
const expect = { poll: { timeout: 30_000 } };

export default defineConfig({
  test: {
    reporters: ["default", "./tools/summary.ts"],
    projects: [
      {
        test: {
          name: "unit",
          include: ["src/**/*.test.ts", "tools/**/*.test.ts", "bench/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          expect,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: "system",
          include: ["test/**/*.test.ts"],
          exclude: ["test/lab/**", "test/agent/**"],
          testTimeout: 300_000,
          expect,
          hookTimeout: 300_000,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: "lab",
          include: ["test/lab/**/*.test.ts", "test/agent/**/*.test.ts"],
          testTimeout: 600_000,
          expect,
          hookTimeout: 600_000,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
