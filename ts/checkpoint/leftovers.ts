import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import * as fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";

// What is being written bears the name NAME.tmp-<pid>-<host and start of the process><random>.
const temporaryForm = /\.tmp-(\d+)-([0-9a-f]{6})([0-9a-z]+)x([0-9a-f]{8})$/;

// Of another host's processes nothing is known: what they left is taken for dead after a day.
const foreignMs = 24 * 3600 * 1000;

/** Clock ticks from boot to a process's start, which tells it from a later one of the same pid. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const ticks = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
    return Number(ticks).toString(36);
  } catch {
    return undefined;
  }
}

const host = createHash("sha256").update(os.hostname()).digest("hex").slice(0, 6);

/** What a temporary name says of this process, after its pid. */
export function owner(): string {
  return `${host}${startOf(process.pid) ?? "0"}x`;
}

async function isDead(full: string, match: RegExpMatchArray): Promise<boolean> {
  const [, pid, where, start] = match;
  if (where === host) return startOf(Number(pid)) !== start;
  const { mtimeMs } = await fs.stat(full);
  return Date.now() - mtimeMs > foreignMs;
}

/**
 * Removes the half-written files and folders that dead processes left in a folder, those of living
 * ones not. A folder that is not there has none.
 *
 * @returns the names that were removed
 */
export async function removeLeftovers(folder: string): Promise<string[]> {
  const removed: string[] = [];
  const names = await fs.readdir(folder).catch(() => []);
  for (const name of names) {
    const match = temporaryForm.exec(name);
    const full = path.join(folder, name);
    if (match === null || !(await isDead(full, match).catch(() => false))) continue;
    await fs.rm(full, { recursive: true, force: true });
    removed.push(name);
  }
  return removed;
}
