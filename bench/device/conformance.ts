// The wrappers of cuda/common on the card, each case a process of its own, beside the emulation.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { compareDumps, parseDump, type Difference } from "./dump.js";
import { inParallel, runCall, type StepResult } from "./step.js";
import type { Place } from "./steps.js";

interface CaseResult {
  name: string;
  passed: boolean;
  /** The bytes are those of the emulation. */
  sameBytes?: boolean;
  differences?: Difference[];
  said?: string;
}

/** Runs every case on the card and emulated, and compares the bytes that they leave behind. */
export async function conformance(
  { build, out, root: cwd, env, dry }: Place,
  limit: number,
): Promise<StepResult> {
  const started = performance.now();
  const seconds = (): number => (performance.now() - started) / 1000;
  const emulated = path.join(build, "Release", "srpo_conformance");
  const device = dry ? emulated : path.join(build, "Release", "srpo_conformance_cuda");
  const dumps = path.join(dry ? out : build, "dumps");
  mkdirSync(dumps, { recursive: true });
  const listed = await runCall({ command: device, args: ["--list"], cwd, env, limit: 30 });
  const all = listed.output.split("\n").filter((name) => name !== "");
  const names = dry ? all.slice(0, 6) : all;
  const results = await inParallel(names, 4, async (name): Promise<CaseResult> => {
    if (seconds() > limit) return { name, passed: false, said: "no time was left" };
    const dumpOf = async (program: string, kind: string) => {
      const file = path.join(dumps, `${name.replaceAll(/\W+/g, "_")}.${kind}`);
      const args = ["--exact", "--dump", file, name];
      const ended = await runCall({ command: program, args, cwd, env, limit: 20 });
      return { file, ended };
    };
    const here = await dumpOf(device, "cuda");
    const passed = here.ended.exit === 0;
    const there = await dumpOf(emulated, "emulated");
    const result: CaseResult = { name, passed };
    if (!passed)
      result.said = here.ended.timedOut ? "timed out" : here.ended.output.slice(-600).trim();
    try {
      result.differences = compareDumps(
        parseDump(readFileSync(here.file)),
        parseDump(readFileSync(there.file)),
      );
      result.sameBytes = result.differences.length === 0;
    } catch (error) {
      result.said = `${result.said ?? ""} ${error instanceof Error ? error.message : ""}`.trim();
    }
    return result;
  });
  // The card's bytes, for golden files of the emulation.
  const files = names
    .map((name) => path.join(dumps, `${name.replaceAll(/\W+/g, "_")}.cuda`))
    .filter((file) => existsSync(file));
  if (files.length > 0)
    writeFileSync(
      path.join(out, "conformance.bin.gz"),
      gzipSync(Buffer.concat(files.map((file) => readFileSync(file)))),
    );
  const failed = results.filter((one) => !one.passed);
  const same = results.filter((one) => one.sameBytes === true).length;
  return {
    name: "conformance",
    outcome: failed.length === 0 && names.length > 0 ? "passed" : "failed",
    seconds: seconds(),
    tail:
      names.length === 0
        ? listed.output.slice(-1000)
        : `${names.length - failed.length} of ${names.length} cases passed, ${same} with the emulation's bytes` +
          (failed.length === 0 ? "" : `; failed: ${failed.map(({ name }) => name).join("; ")}`),
    details: results,
  };
}
