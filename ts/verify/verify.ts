import { existsSync } from "node:fs";
import { SrpoError } from "../native/error.js";
import type { Device } from "../tensor/device.js";
import { tensorScope } from "../tensor/scope.js";
import { bfloat16Tolerances, Comparison, float32Tolerances, type Row } from "./comparison.js";
import { isFixture, openFixtures, type Fixture } from "./fixture.js";
import { replayOf } from "./registry.js";
import { ReplayRun, type ReplaySettings } from "./replay.js";
import { verifyTokenizers } from "./tokenizers.js";

export interface VerifyOptions {
  /** Default cpu. */
  readonly device?: Device;
  /** Default float32; bfloat16 has wider tolerances. */
  readonly dtype?: "float32" | "bfloat16";
  /** A folder with the vocabularies `clip/` and `t5/`; without it token rows are skipped. */
  readonly tokenizers?: string | undefined;
  /** Called with the rows of each fixture as they come. */
  readonly onFixture?: ((name: string, rows: readonly Row[]) => void) | undefined;
}

/** What could not be checked here, and how many rows that is. */
export interface Skipped {
  readonly fixture: string;
  readonly count: number;
  readonly why: string;
}

export interface VerifyReport {
  readonly rows: readonly Row[];
  readonly skipped: readonly Skipped[];
  /** Whether every row is within its tolerance, and there was one. */
  readonly ok: boolean;
}

function failed(fixture: string, note: string): Row {
  return { fixture, tensor: "", error: Infinity, tolerance: 0, ok: false, note };
}

async function replayFixture(fixture: Fixture, settings: ReplaySettings): Promise<Row[]> {
  using scope = tensorScope();
  void scope;
  const replay = replayOf(fixture.module);
  if (replay === undefined)
    return [failed(fixture.name, `unknown network: no replay for "${fixture.module}"`)];
  const tolerances = settings.dtype === "float32" ? float32Tolerances : bfloat16Tolerances;
  const comparison = new Comparison(fixture, tolerances);
  try {
    await replay(new ReplayRun(fixture, comparison, settings));
  } catch (error) {
    // Bad fixtures and failed ops are what this command is there to report.
    return [
      ...comparison.rows,
      failed(fixture.name, error instanceof Error ? error.message : String(error)),
    ];
  }
  return comparison.finish();
}

/**
 * Replays the fixtures at a path (a folder of them, or one file) on a device and holds every output and
 * gradient against the reference's.
 *
 * @throws SrpoError ERR_CHECKPOINT if nothing is there to replay
 */
export async function verifyPath(
  where: string,
  { device = "cpu", dtype = "float32", tokenizers, onFixture }: VerifyOptions = {},
): Promise<VerifyReport> {
  if (!existsSync(where))
    throw new SrpoError(
      "ERR_CHECKPOINT",
      `verify: ${where}: expected a fixture or a folder, got none`,
    );
  const rows: Row[] = [];
  const report = (name: string, found: readonly Row[]) => {
    rows.push(...found);
    onFixture?.(name, found);
  };
  for (const found of openFixtures(where)) {
    if (!isFixture(found)) {
      report(found.name, [failed(found.name, found.problem)]);
      continue;
    }
    using fixture = found;
    report(fixture.name, await replayFixture(fixture, { device, dtype }));
  }
  const tokens = await verifyTokenizers(where, tokenizers);
  for (const { name, rows: found } of tokens.fixtures) report(name, found);
  if (rows.length === 0 && tokens.skipped.length === 0)
    throw new SrpoError("ERR_CHECKPOINT", `verify: ${where}: expected a fixture, found none`);
  return { rows, skipped: tokens.skipped, ok: rows.every(({ ok }) => ok) };
}
