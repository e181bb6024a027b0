// Which elements of the flat parameters a file of state holds, as its metadata says:
//
//   ranges   "0 1024, 4096 1024"   first and count of each, in order; the file's rows stand for them in it
//   length   "8000"                of all files together
//
// Before ranks had several ranges: first and count instead of ranges.
import { refuseAll } from "./store_set.js";

/** Elements [first, first + count). */
export interface StateRange {
  readonly first: number;
  readonly count: number;
}

interface Described {
  readonly origin: string;
  readonly metadata: ReadonlyMap<string, string>;
}

const blockElements = 256;
const wholeNumber = /^(?:0|[1-9]\d{0,15})$/;

export function rangesText(
  ranges: readonly StateRange[],
  length: number,
): { ranges: string; length: string } {
  const text = ranges.map(({ first, count }) => `${first} ${count}`).join(", ");
  return { ranges: text, length: String(length) };
}

function numberOf(text: string | undefined): number {
  return text !== undefined && wholeNumber.test(text) ? Number(text) : Number.NaN;
}

/** The ranges of a file as it says them; those of none are none. */
function said({ metadata }: Described): StateRange[] {
  const text = metadata.get("ranges");
  if (text === undefined) {
    const [first, count] = [numberOf(metadata.get("first")), numberOf(metadata.get("count"))];
    return count === 0 ? [] : [{ first, count }];
  }
  if (text === "") return [];
  return text.split(", ").map((one) => {
    const [first, count, ...more] = one.split(" ");
    return { first: numberOf(first), count: more.length > 0 ? Number.NaN : numberOf(count) };
  });
}

/**
 * The ranges that a file of state holds, in order and within the length.
 *
 * @throws SrpoError ERR_CHECKPOINT that names the first that is none, or the other length
 */
export function rangesIn(file: Described, length: number): StateRange[] {
  const { origin, metadata } = file;
  const theirs = metadata.get("length");
  if (numberOf(theirs) !== length)
    refuseAll(origin, [`length: expected ${length} elements, got ${theirs ?? "none"}`]);
  const ranges = said(file);
  let at = 0;
  for (const [i, { first, count }] of ranges.entries()) {
    const end = first + count;
    const whole = first % blockElements === 0 && (end % blockElements === 0 || end === length);
    if (first >= at && count > 0 && end <= length && whole) at = end;
    else
      refuseAll(origin, [
        `range ${i}: expected whole blocks of ${blockElements} within elements ${at} to ${length}, got ${count} from ${first}`,
      ]);
  }
  return ranges;
}

/** What keeps ranges of several files from having every element once; undefined if nothing does. */
export function orderedRanges(
  ranges: readonly (StateRange & { origin: string })[],
  length: number,
): { origin: string; says: string } | undefined {
  let at = 0;
  for (const { first, count, origin } of [...ranges].sort((a, b) => a.first - b.first)) {
    if (first !== at)
      return {
        origin,
        says: `range: expected elements from ${at} of ${length}, got ${count} from ${first}`,
      };
    at += count;
  }
  const origin = ranges.at(-1)?.origin ?? "state";
  if (at !== length)
    return { origin, says: `range: expected elements from ${at} of ${length}, got none` };
  return undefined;
}
