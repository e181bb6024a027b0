import yargs from "yargs";
import { codeOf } from "../native/error.js";
import { packageVersion } from "../native/load.js";
import { flagOf, resolve, type OptionSpec, type Schema } from "../train/schema.js";
import { interruptible } from "./interrupt.js";
import { commands, type CommandLoader } from "./commands.js";
import type { Command } from "./command.js";

/** An error in how a command was called: exit 2, with the way to its help. */
class UsageError extends Error {}

function yargsOption(spec: OptionSpec) {
  const fallback = spec.default;
  const note = fallback === undefined || fallback === "" ? "" : ` [default: ${String(fallback)}]`;
  const choices = spec.type === "text" && spec.choices ? ` (${spec.choices.join(", ")})` : "";
  return {
    describe: `${spec.help}${choices}${note}`,
    group: `${spec.group ?? "options"}:`,
    // Numbers stay text until the table reads them: yargs would make NaN of "abc" and 0 of "".
    ...(spec.type === "boolean"
      ? ({ type: "boolean" } as const)
      : ({ type: "string", requiresArg: true } as const)),
  };
}

/** The flags that were given, by option name; a flag given twice is an error, but for lists. */
function givenFlags(schema: Schema, argv: Readonly<Record<string, unknown>>) {
  const given: Record<string, unknown> = {};
  for (const [name, spec] of Object.entries(schema)) {
    const value = argv[flagOf(name)];
    if (value === undefined) continue;
    if (Array.isArray(value) && spec.type !== "numbers" && spec.type !== "texts")
      throw new UsageError(`--${flagOf(name)}: expected once, got ${value.length} times`);
    if (value === "") throw new UsageError(`--${flagOf(name)}: expected a value, got none`);
    given[name] = value;
  }
  return given;
}

async function execute(loaded: Command, argv: Readonly<Record<string, unknown>>): Promise<number> {
  const positional = ((argv["_"] as unknown[]) ?? []).slice(1).map(String);
  if (loaded.positional === undefined && positional.length > 0)
    throw new UsageError(`${loaded.name}: expected no further arguments, got ${positional[0]}`);
  const given = givenFlags(loaded.schema, argv);
  const values = loaded.resolvesItself
    ? resolve(loaded.schema, [])
    : resolve(loaded.schema, [{ name: "--", values: given }]);
  const { signal, end } = interruptible();
  try {
    return await loaded.run(values, { positional, given, signal });
  } finally {
    end();
  }
}

function parserOf(args: readonly string[], loader: CommandLoader | undefined, loaded?: Command) {
  const parser = yargs([...args])
    .scriptName("srpo-native")
    .parserConfiguration({ "camel-case-expansion": false, "dot-notation": false })
    .version(packageVersion)
    .exitProcess(false)
    .help()
    .wrap(Math.min(110, process.stdout.columns ?? 100))
    .option("verbose", { type: "boolean", describe: "the stack of an error", global: true })
    .fail((message, error) => {
      throw error ?? new UsageError(message);
    });
  if (loader === undefined || loaded === undefined) {
    parser.usage("$0 <command> [options]").demandCommand(1, "expected a command");
    for (const { name, summary } of commands) parser.command(name, summary, () => {});
    return parser.recommendCommands().strictCommands().completion("completion");
  }
  parser.usage(`$0 ${loaded.name} ${loaded.positional ?? ""} [options]\n\n${loaded.summary}`);
  for (const [name, spec] of Object.entries(loaded.schema))
    parser.option(flagOf(name), yargsOption(spec));
  for (const [line, does] of loaded.examples) parser.example(`$0 ${line}`, does);
  return parser.strictOptions();
}

/** Runs a command line; returns the exit code: 0, 1 (failed) or 2 (called wrongly). */
export async function run(args: readonly string[]): Promise<number> {
  const verbose = args.includes("--verbose");
  const loader = commands.find(({ name }) => name === args[0]);
  try {
    const loaded = await loader?.load();
    const argv = await parserOf(args, loader, loaded).parseAsync();
    if (loaded === undefined || argv["help"] === true || argv["version"] === true) return 0;
    return await execute(loaded, argv);
  } catch (error) {
    const usage =
      error instanceof UsageError || isYargsError(error) || codeOf(error) === "ERR_CONFIG";
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(`srpo-native: ${message}\n`);
    if (verbose && error instanceof Error) process.stderr.write(`${error.stack}\n`);
    else if (usage && loader !== undefined)
      process.stderr.write(`See "srpo-native ${loader.name} --help".\n`);
    return usage ? 2 : 1;
  }
}

function isYargsError(error: unknown): boolean {
  return error instanceof Error && error.name === "YError";
}
