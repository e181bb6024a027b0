/** One buffer that a conformance case left behind (test/cuda/main.cu writes them). */
export interface Dumped {
  name: string;
  elements: number;
  size: number;
  floating: boolean;
  bytes: Buffer;
}

/** The buffers of a dump file. */
export function parseDump(file: Buffer): Dumped[] {
  const found: Dumped[] = [];
  for (let at = 0; at < file.length;) {
    const end = file.indexOf(10, at);
    if (end < 0) throw new Error("dump: expected a line, got the end of the file");
    const [name, index, elements, size, type] = file.toString("utf8", at, end).split("\t");
    const bytes = Number(elements) * Number(size);
    if (!(bytes >= 0) || end + 1 + bytes > file.length)
      throw new Error(`dump: ${name}: expected ${elements} x ${size} bytes, got fewer`);
    found.push({
      name: `${name}, buffer ${index}`,
      elements: Number(elements),
      size: Number(size),
      floating: type === "f",
      bytes: file.subarray(end + 1, end + 1 + bytes),
    });
    at = end + 1 + bytes;
  }
  return found;
}

function floatAt({ bytes, size }: Dumped, i: number): number {
  if (size === 4) return bytes.readFloatLE(4 * i);
  const word = Buffer.alloc(4);
  bytes.copy(word, 2, 2 * i, 2 * i + 2);
  return word.readFloatLE(0);
}

export interface Difference {
  buffer: string;
  /** Elements with other bytes. */
  different: number;
  of: number;
  /** The largest difference and the first element that differs, of numbers. */
  largest?: number;
  first: number;
}

/** Where two dumps of a case have other bytes. */
export function compareDumps(a: readonly Dumped[], b: readonly Dumped[]): Difference[] {
  const differences: Difference[] = [];
  if (a.length !== b.length)
    return [
      {
        buffer: `${a.length} buffers against ${b.length}`,
        different: Math.abs(a.length - b.length),
        of: Math.max(a.length, b.length),
        first: Math.min(a.length, b.length),
      },
    ];
  a.forEach((left, n) => {
    const right = b[n]!;
    if (left.bytes.equals(right.bytes)) return;
    let different = 0;
    let first = -1;
    let largest = 0;
    const { size } = left;
    const of = Math.min(left.elements, right.elements);
    for (let i = 0; i < of; ++i) {
      const [from, to] = [i * size, (i + 1) * size];
      if (left.bytes.subarray(from, to).equals(right.bytes.subarray(from, to))) continue;
      ++different;
      if (first < 0) first = i;
      if (left.floating)
        largest = Math.max(largest, Math.abs(floatAt(left, i) - floatAt(right, i)));
    }
    differences.push({
      buffer: left.name,
      different,
      of,
      first,
      ...(left.floating ? { largest } : {}),
    });
  });
  return differences;
}
