// origin.json of a run's folder: what was called, of which version, on which machine.
import { existsSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { replaceFile } from "../checkpoint/durable.js";
import { isObject, readJson } from "../checkpoint/strict_json.js";
import { native } from "../native/binding.js";
import { commitOf } from "../native/commit.js";
import { packageVersion } from "../native/load.js";

export interface Origin {
  command: string;
  version: string;
  commit: string;
  machine: string;
  /** UTC, to the second. */
  started: string;
}

/** "AMD EPYC 9B45, avx512, 2 threads; Node v20.19.0, Linux x64" */
export function machineOf(): string {
  const cpu = os.cpus()[0]?.model.trim() ?? "unknown processor";
  return (
    `${cpu}, ${native.cpuInstructionSet()}, ${native.cpuThreads()} threads; ` +
    `Node ${process.version}, ${os.type()} ${os.arch()}`
  );
}

/** Arguments as a shell would take them. */
export function asTyped(args: readonly string[]): string {
  return args
    .map((arg) => (/^[\w./:=,@%+-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", "'\\''")}'`))
    .join(" ");
}

/** What this process was called as, now, here. */
export function originOf(args: readonly string[] = process.argv.slice(2)): Origin {
  return {
    command: `srpo-native ${asTyped(args)}`,
    version: packageVersion,
    commit: commitOf(),
    machine: machineOf(),
    started: `${new Date().toISOString().slice(0, 19)}Z`,
  };
}

const fileOf = (folder: string) => path.join(folder, "origin.json");

/** Leaves in a run's folder where it came from; a run that goes on keeps what it began with. */
export async function keepOrigin(folder: string, origin: Origin = originOf()): Promise<void> {
  if (existsSync(fileOf(folder))) return;
  const text = `${JSON.stringify(origin, null, 2)}\n`;
  await replaceFile(fileOf(folder), (sink) => sink.write(Buffer.from(text)));
}

/** What `keepOrigin` left; undefined for a folder without it. */
export function readOrigin(folder: string): Origin | undefined {
  const file = fileOf(folder);
  if (!existsSync(file)) return undefined;
  const json = readJson(file);
  const text = (name: string) => {
    const value = isObject(json) ? json[name] : undefined;
    return typeof value === "string" ? value : "unknown";
  };
  return {
    command: text("command"),
    version: text("version"),
    commit: text("commit"),
    machine: text("machine"),
    started: text("started"),
  };
}
