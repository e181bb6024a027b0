// Where a demo goes, and what is needed to go on with it.
import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { makeFolder, replaceFile } from "../../checkpoint/durable.js";
import { isObject, readJson } from "../../checkpoint/strict_json.js";
import { SrpoError } from "../../native/error.js";

/** `runs/demo`, or the first of `runs/demo-2`, `runs/demo-3`, ... that is not there. */
export function freshPlace(wanted: string): string {
  const free = (place: string) => !existsSync(place) || readdirSync(place).length === 0;
  if (free(wanted)) return path.resolve(wanted);
  for (let number = 2; ; ++number) {
    const place = `${wanted}-${number}`;
    if (free(place)) return path.resolve(place);
  }
}

const fileOf = (place: string) => path.join(place, "demo.json");

/** Keeps the options of a demo, so that `--resume` needs no others. */
export async function keepOptions(place: string, options: object): Promise<void> {
  try {
    await makeFolder(place);
  } catch (error) {
    const got = error instanceof Error ? error.message : String(error);
    throw new SrpoError("ERR_CONFIG", `out: ${got}`, { cause: error });
  }
  const text = `${JSON.stringify(options, null, 2)}\n`;
  await replaceFile(fileOf(place), (sink) => sink.write(Buffer.from(text)));
}

/** Whether a demo was begun there. */
export function isDemo(place: string): boolean {
  return existsSync(fileOf(place));
}

/** @throws SrpoError ERR_CONFIG for a folder of no demo */
export function readOptions(place: string): Readonly<Record<string, unknown>> {
  if (!isDemo(place))
    throw new SrpoError(
      "ERR_CONFIG",
      `resume: expected the folder of a demo, got ${path.resolve(place)} without demo.json`,
    );
  const options = readJson(fileOf(place));
  if (!isObject(options))
    throw new SrpoError(
      "ERR_CONFIG",
      `${fileOf(place)}: expected an object of options, got another form`,
    );
  return options;
}

/** Refuses a folder with files of something else in it. */
export function requireFree(place: string): void {
  let names: string[] = [];
  try {
    names = existsSync(place) ? readdirSync(place) : [];
  } catch {
    throw new SrpoError("ERR_CONFIG", `out: expected a folder to write to, got a file at ${place}`);
  }
  const advice = isDemo(place) ? `; go on with it by --resume ${place}, or name another` : "";
  if (names.length > 0)
    throw new SrpoError(
      "ERR_CONFIG",
      `out: expected a new or empty folder, got ${place} with files in it${advice}`,
    );
}
