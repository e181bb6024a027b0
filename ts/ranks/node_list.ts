import { SrpoError } from "../native/error.js";

// Of one list: a thousand times the machines that anyone rents, and no more than a moment's work.
const mostNodes = 100_000;
const mostText = 1 << 20;
const deepest = 8;

/**
 * The hosts of Slurm's short form, in order: `node[01-04,7],gpu-[1-2]x[3-4]` is node01 to node04, node7,
 * gpu-1x3, gpu-1x4, gpu-2x3, gpu-2x4. Leading zeros are kept; brackets within brackets are read as if
 * they were not there.
 *
 * @param name - of the variable, for messages
 * @throws SrpoError ERR_CONFIG for what is no such list, or names more than 100,000 hosts
 */
export function expandNodeList(text: string, name = "SLURM_JOB_NODELIST"): string[] {
  if (text.length > mostText)
    throw new SrpoError(
      "ERR_CONFIG",
      `${name}: expected at most ${mostText} characters, got ${text.length}`,
    );
  return new NodeListReader(text, name).read();
}

class NodeListReader {
  #at = 0;

  constructor(
    readonly text: string,
    readonly name: string,
  ) {}

  read(): string[] {
    const hosts: string[] = [];
    do {
      const more = this.#host();
      if (hosts.length + more.length > mostNodes) this.#tooMany();
      for (const host of more) hosts.push(host);
    } while (this.#take(","));
    if (this.#at < this.text.length) this.#refuse("a comma or the end");
    return hosts;
  }

  /** Letters and bracketed numbers up to a comma: every combination. */
  #host(): string[] {
    let hosts = [""];
    let length = 0;
    for (;;) {
      const letters = this.#match(/[A-Za-z0-9._-]*/y);
      const ends = this.#take("[") ? this.#ranges(1) : undefined;
      length += letters.length + (ends === undefined ? 0 : 1);
      if (hosts.length * (ends?.length ?? 1) > mostNodes) this.#tooMany();
      if (letters !== "" || ends !== undefined)
        hosts = hosts.flatMap((host) => (ends ?? [""]).map((end) => `${host}${letters}${end}`));
      if (ends === undefined) break;
    }
    if (length === 0) this.#refuse("a host");
    if (hosts.some((host) => host.length > 253)) this.#refuse("names of at most 253 characters");
    return hosts;
  }

  /** What stands in brackets, the closing one too. */
  #ranges(depth: number): string[] {
    if (depth > deepest) this.#refuse(`at most ${deepest} brackets within each other`);
    const numbers: string[] = [];
    do {
      const more = this.#take("[") ? this.#ranges(depth + 1) : this.#range();
      if (numbers.length + more.length > mostNodes) this.#tooMany();
      for (const number of more) numbers.push(number);
    } while (this.#take(","));
    if (!this.#take("]")) this.#refuse('"]" or a comma');
    return numbers;
  }

  #range(): string[] {
    const low = this.#match(/\d*/y);
    const high = this.#take("-") ? this.#match(/\d*/y) : low;
    if (low === "" || high === "") this.#refuse("a number");
    if (low.length > 9 || high.length > 9) this.#refuse("numbers of at most nine digits");
    const count = Number(high) - Number(low) + 1;
    if (count < 1) this.#refuse(`a range that goes up, not ${low}-${high},`);
    if (count > mostNodes) this.#tooMany();
    return Array.from({ length: count }, (_, i) =>
      String(Number(low) + i).padStart(low.length, "0"),
    );
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.text)?.[0] ?? "";
    this.#at += found.length;
    return found;
  }

  #take(letter: string): boolean {
    if (this.text[this.#at] !== letter) return false;
    ++this.#at;
    return true;
  }

  #tooMany(): never {
    throw new SrpoError(
      "ERR_CONFIG",
      `${this.name}: expected at most ${mostNodes} hosts, got more in ${JSON.stringify(this.text.slice(0, 60))}`,
    );
  }

  #refuse(expected: string): never {
    const got =
      this.#at < this.text.length
        ? JSON.stringify(this.text.slice(this.#at, this.#at + 20))
        : "the end";
    throw new SrpoError(
      "ERR_CONFIG",
      `${this.name}: expected ${expected} at character ${this.#at + 1}, got ${got}`,
    );
  }
}
