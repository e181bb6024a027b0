import yargs from "yargs";
import { codeOf, SrpoError } from "../native/error.js";
import { packageVersion } from "../native/load.js";
import { flagOf, hintFor, resolve, type OptionSpec } from "../train/schema.js";
import type { Command } from "./command.js";
import { commands, type CommandLoader } from "./commands.js";
import { readFlags } from "./flags.js";
import { interruptible } from "./interrupt.js";

function yargsOption(spec: OptionSpec) {
  const fallback = spec.default;
  const note = fallback === undefined || fallback === "" ? "" : ` [default: ${String(fallback)}]`;
  const choices = spec.type === "text" && spec.choices ? ` (${spec.choices.join(", ")})` : "";
  return {
    describe: `${spec.help}${choices}${note}`,
    group: `${spec.group ?? "options"}:`,
    // Numbers stay text until the table reads them: yargs would make NaN of "abc" and 0 of "".
    type: spec.type === "boolean" ? ("boolean" as const) : ("string" as const),
  };
}

async function execute(
  loaded: Command,
  argv: Readonly<Record<string, unknown>>,
  args: readonly string[],
): Promise<number> {
  const positional = ((argv["_"] as unknown[]) ?? []).slice(1).map(String);
  const source = readFlags(loaded.schema, argv, args);
  if (loaded.positional === undefined && positional.length > 0)
    source.problems = [
      ...(source.problems ?? []),
      `${loaded.name}: expected no further arguments, got ${positional.join(" ")}`,
    ];
  const values = resolve(loaded.schema, loaded.resolvesItself === true ? [] : [source]);
  if (loaded.stops !== true) {
    const { signal } = new AbortController();
    return loaded.run(values, { positional, flags: source, signal });
  }
  const { signal, end } = interruptible();
  try {
    return await loaded.run(values, { positional, flags: source, signal });
  } finally {
    end();
  }
}

function parserOf(args: readonly string[], loaded: Command | undefined) {
  const parser = yargs([...args])
    .scriptName("srpo-native")
    .parserConfiguration({
      "camel-case-expansion": false,
      "dot-notation": false,
      "parse-positional-numbers": false,
    })
    .version(packageVersion)
    .exitProcess(false)
    .help()
    .wrap(Math.min(110, process.stdout.columns ?? 100))
    .option("verbose", { type: "boolean", describe: "the stack of an error", global: true })
    .fail((message, error) => {
      throw error ?? new SrpoError("ERR_CONFIG", message);
    });
  if (loaded === undefined || args[0] !== loaded.name)
    parser.completion("completion", "prints a script for bash or zsh that completes our commands");
  if (loaded === undefined) {
    parser.usage("$0 <command> [options]");
    for (const { name, summary } of commands) parser.command(name, summary, () => {});
    parser.epilogue('"srpo-native <command> --help" has each command\'s options and examples.');
    return parser;
  }
  parser.usage(`$0 ${loaded.name} ${loaded.positional ?? ""} [options]\n\n${loaded.summary}`);
  for (const [name, spec] of Object.entries(loaded.schema))
    parser.option(flagOf(name), yargsOption(spec));
  for (const [line, does] of loaded.examples) parser.example(`$0 ${line}`, does);
  return parser;
}

/** The command of a line, or of the line that a shell wants completed. */
function wanted(args: readonly string[]): CommandLoader | undefined {
  const name = args[0] === "--get-yargs-completions" ? args[2] : args[0];
  return commands.find((one) => one.name === name);
}

function refuseUnknown(args: readonly string[], argv: Readonly<Record<string, unknown>>): void {
  if (argv["help"] === true || argv["version"] === true) return;
  const [name] = (argv["_"] as unknown[]).map(String);
  if (name === "completion" || args[0] === "--get-yargs-completions") return;
  const names = commands.map((one) => one.name);
  throw new SrpoError(
    "ERR_CONFIG",
    name === undefined
      ? `expected a command, got none: ${names.join(", ")}`
      : `${name}: no such command${hintFor(name, names) || `: ${names.join(", ")}`}`,
  );
}

/** Runs a command line; returns the exit code: 0, 1 (failed) or 2 (called wrongly). */
export async function run(args: readonly string[]): Promise<number> {
  // Who reads our output may leave: `srpo-native doctor | head -n 1`.
  process.stdout.on("error", (error) => {
    process.exit(codeOf(error) === "EPIPE" ? 0 : 1);
  });
  const loader = wanted(args);
  try {
    const loaded = await loader?.load();
    const argv = await parserOf(args, loaded).parseAsync();
    if (argv["help"] === true || argv["version"] === true) return 0;
    if (loaded !== undefined && args[0] === loader?.name) return await execute(loaded, argv, args);
    refuseUnknown(args, argv);
    return 0;
  } catch (error) {
    return fail(error, { verbose: args.includes("--verbose"), command: loader?.name });
  }
}

/** Says what went wrong on stderr; returns the exit code. */
function fail(
  error: unknown,
  { verbose, command }: { verbose: boolean; command: string | undefined },
): number {
  const usage = codeOf(error) === "ERR_CONFIG" || (error as Error).name === "YError";
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`srpo-native: ${message}\n`);
  if (verbose && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  else if (usage)
    process.stderr.write(
      `See "srpo-native ${command === undefined ? "" : `${command} `}--help".\n`,
    );
  return usage ? 2 : 1;
}
