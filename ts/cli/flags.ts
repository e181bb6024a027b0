import { flagOf, flags, hintFor, type Schema, type Source } from "../train/schema.js";

// Flags of every command, and what yargs adds.
const common = new Set(["_", "$0", "help", "version", "verbose"]);

/**
 * The flags of a command line by option name, and everything that is wrong with their form: unknown ones,
 * ones given twice or without a value.
 *
 * @param argv - as yargs parsed it
 * @param args - as they were typed
 */
export function readFlags(
  schema: Schema,
  argv: Readonly<Record<string, unknown>>,
  args: readonly string[],
): Source {
  const values: Record<string, unknown> = {};
  const problems: string[] = [];
  const byFlag = new Map(
    Object.entries(schema).map(([name, spec]) => [flagOf(name), { name, spec }]),
  );
  const said = (flag: string) => (flag.length === 1 ? `-${flag}` : `--${flag}`);
  for (const [flag, value] of Object.entries(argv)) {
    if (common.has(flag) || value === undefined) continue;
    const known = byFlag.get(flag);
    if (known === undefined) {
      const hint = hintFor(flag, [...byFlag.keys()]).replace("mean ", "mean --");
      problems.push(`${said(flag)}: no such option${hint}`);
      continue;
    }
    const { name, spec } = known;
    const list = spec.type === "numbers" || spec.type === "texts";
    if (Array.isArray(value) && !list)
      problems.push(`--${flag}: expected once, got ${value.length} times`);
    else if (value === "" || (Array.isArray(value) && value.includes("")))
      problems.push(`--${flag}: expected a value, got none`);
    else values[name] = spec.type === "boolean" ? typed(flag, args, value) : value;
  }
  return { name: flags, values, problems };
}

/** A switch's value as it was typed: yargs would take `--json=maybe` for false. */
function typed(flag: string, args: readonly string[], value: unknown): unknown {
  return args.find((arg) => arg.startsWith(`--${flag}=`))?.slice(flag.length + 3) ?? value;
}
