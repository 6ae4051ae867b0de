import { defineConfig } from "vitest/config";

// unit: in process, no root. system: real processes, sockets and kernel objects; needs root and dist/ (npm test builds it first).
export default defineConfig({
  test: {
    reporters: ["default", "./tools/summary.ts"],
    projects: [
      { test: { name: "unit", include: ["src/**/*.test.ts", "tools/**/*.test.ts"], testTimeout: 20_000 } },
      {
        test: {
          name: "system",
          include: ["test/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // Two cores: more side by side only makes them wait for each other.
          maxWorkers: 2,
        },
      },
    ],
  },
});
