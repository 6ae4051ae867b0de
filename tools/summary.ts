// A vitest reporter that ends a run with one plain line, so that a script can read how it went, and names what was skipped and why.
import type { Reporter, TestModule } from "vitest/node";

export default class Summary implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    let passed = 0;
    let failed = unhandled.length;
    const skipped: string[] = [];
    for (const module of modules) {
      if (module.errors().length > 0) failed++;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === "passed") passed++;
        else if (state === "failed") failed++;
        else skipped.push(test.fullName);
      }
    }
    const groups = new Set(skipped.map((name) => /^(.*?\[skipped: [^\]]*\])/.exec(name)?.[1] ?? name));
    for (const name of groups) process.stdout.write(`skipped: ${name}\n`);
    process.stdout.write(`\n${passed} passed, ${failed} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ""}\n`);
  }
}
