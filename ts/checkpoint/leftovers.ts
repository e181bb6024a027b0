import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import * as fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";

// NAME.tmp-<pid>-<host><start of the process>x<random>: being written, or being removed.
// NAME.old-...: on its way out while its successor takes its place.
const form = /^(.+)\.(tmp|old)-(\d+)-([0-9a-f]{6})([0-9a-z]+)x[0-9a-f]{8}$/;

// Of another host's processes nothing is known: what they left is taken for dead after a day.
const foreignMs = 24 * 3600 * 1000;

/** Clock ticks from boot to a process's start, which tell it from a later one of the same pid. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (fields[0] === "Z" || fields[0] === "X") return undefined; // dead, but not yet waited for
    return Number(fields[19]).toString(36);
  } catch {
    return undefined;
  }
}

const host = createHash("sha256").update(os.hostname()).digest("hex").slice(0, 6);

/** A name beside a place that says whose it is and what for. */
export function besideName(place: string, kind: "tmp" | "old"): string {
  const start = startOf(process.pid) ?? "0";
  return `${place}.${kind}-${process.pid}-${host}${start}x${randomBytes(4).toString("hex")}`;
}

async function isDead(full: string, pid: number, where: string, start: string): Promise<boolean> {
  if (where === host) return startOf(pid) !== start;
  const { mtimeMs } = await fs.stat(full);
  return Date.now() - mtimeMs > foreignMs;
}

/**
 * Puts a folder in order after processes that died while they wrote to it: what was half-written is
 * removed, and what had just been moved aside for a successor that did not arrive is put back. What
 * living processes write stays.
 *
 * @param options.own - whether this process's own moved-aside folders count as well: it has failed
 */
export async function recoverFolder(
  folder: string,
  { own = false }: { own?: boolean } = {},
): Promise<void> {
  const names = await fs.readdir(folder).catch(() => []);
  for (const name of names) {
    const [, base, kind, pid, where, start] = form.exec(name) ?? [];
    if (base === undefined || where === undefined || start === undefined) continue;
    const full = path.join(folder, name);
    const mine = own && kind === "old" && Number(pid) === process.pid;
    if (!mine && !(await isDead(full, Number(pid), where, start).catch(() => false))) continue;
    const place = path.join(folder, base);
    const taken = await fs.stat(place).then(
      () => true,
      () => false,
    );
    // Another process may be putting it in order too, and be first.
    if (kind === "old" && !taken) await fs.rename(full, place).catch(() => {});
    else await fs.rm(full, { recursive: true, force: true });
  }
}

const recovered = new Set<string>();

/** The same, once a process and folder. */
export async function recoverFolderOnce(folder: string): Promise<void> {
  if (recovered.has(folder)) return;
  recovered.add(folder);
  await recoverFolder(folder);
}
