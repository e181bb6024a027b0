import { badFile, shownText } from "./file_bytes.js";
import { opcodeName, opcodes as op } from "./pickle_opcodes.js";
import { kindOf, type PickleValue } from "./pickle_values.js";
import { globalOf, persistent, reduced, Refusal } from "./torch_globals.js";

/** Larger ones are refused before they are read. */
export const mostPickleBytes = 64 << 20;
// Every operation makes at most one value, so that this bounds the memory: about 0.5 GB of the smallest
// containers. A tensor takes some forty.
const mostOperations = 2_000_000;

/**
 * Reads a pickle of tensors and plain values: dicts, lists, tuples, texts, numbers. It runs no code: an opcode
 * or a global that is not in the list is refused by name, and a tensor is only the description of one.
 *
 * @param file - for messages
 * @throws SrpoError ERR_CHECKPOINT, `<file>: data.pkl: expected ..., got ... at byte N`
 */
export function readPickle(file: string, bytes: Uint8Array): PickleValue {
  const reader = new Unpickler(bytes);
  try {
    return reader.run();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw badFile(
      file,
      "data.pkl",
      error.expected,
      `${shownText(error.got)} at byte ${reader.operation}`,
    );
  }
}

class Unpickler {
  /** The byte of the operation that runs. */
  operation = 0;
  readonly #bytes: Buffer;
  #at = 0;
  readonly #stack: PickleValue[] = [];
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, PickleValue>();

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  run(): PickleValue {
    for (let count = 0; count < mostOperations; ++count) {
      this.operation = this.#at;
      const code = this.#take(1)[0]!;
      if (code === op.STOP) return this.#pop();
      this.#step(code);
    }
    throw new Refusal(`at most ${mostOperations} operations`, "more");
  }

  #step(code: number): void {
    switch (code) {
      case op.PROTO: {
        const protocol = this.#unsigned(1);
        if (protocol < 2 || protocol > 5) throw new Refusal("protocol 2 to 5", String(protocol));
        return;
      }
      case op.FRAME:
        this.#take(8);
        return;
      case op.MARK:
        this.#marks.push(this.#stack.length);
        return;
      case op.NONE:
        return this.#push(null);
      case op.NEWTRUE:
        return this.#push(true);
      case op.NEWFALSE:
        return this.#push(false);
      case op.BININT:
        return this.#push(this.#take(4).readInt32LE(0));
      case op.BININT1:
        return this.#push(this.#unsigned(1));
      case op.BININT2:
        return this.#push(this.#unsigned(2));
      case op.LONG1:
        return this.#push(this.#long(this.#unsigned(1)));
      case op.BINFLOAT:
        return this.#push(this.#take(8).readDoubleBE(0));
      case op.BINUNICODE:
        return this.#push(this.#text(this.#unsigned(4)));
      case op.SHORT_BINUNICODE:
        return this.#push(this.#text(this.#unsigned(1)));
      case op.EMPTY_DICT:
        return this.#push({ kind: "dict", items: new Map() });
      case op.EMPTY_LIST:
        return this.#push({ kind: "list", items: [] });
      case op.EMPTY_TUPLE:
        return this.#push({ kind: "tuple", items: [] });
      case op.TUPLE1:
      case op.TUPLE2:
      case op.TUPLE3:
        return this.#push({ kind: "tuple", items: this.#popMany(code - op.TUPLE1 + 1) });
      case op.TUPLE:
        return this.#push({ kind: "tuple", items: this.#popToMark() });
      case op.APPEND:
        return this.#append([this.#pop()]);
      case op.APPENDS:
        return this.#append(this.#popToMark());
      case op.SETITEM:
        return this.#set(this.#popMany(2));
      case op.SETITEMS:
        return this.#set(this.#popToMark());
      case op.BINPUT:
        return this.#remember(this.#unsigned(1));
      case op.LONG_BINPUT:
        return this.#remember(this.#unsigned(4));
      case op.MEMOIZE:
        return this.#remember(this.#memo.size);
      case op.BINGET:
        return this.#recall(this.#unsigned(1));
      case op.LONG_BINGET:
        return this.#recall(this.#unsigned(4));
      case op.GLOBAL:
        return this.#push(globalOf(`${this.#line()}.${this.#line()}`));
      case op.STACK_GLOBAL: {
        const [module, name] = this.#popMany(2);
        if (typeof module !== "string" || typeof name !== "string")
          throw new Refusal("a global's module and name", `${kindOf(module)} and ${kindOf(name)}`);
        return this.#push(globalOf(`${module}.${name}`));
      }
      case op.BINPERSID:
        return this.#push(persistent(this.#pop()));
      case op.REDUCE: {
        const [callee, args] = this.#popMany(2);
        return this.#push(reduced(callee, args));
      }
      case op.BUILD:
        // Attributes of a state_dict (`_metadata`): of no use here.
        this.#pop();
        this.#container("dict");
        return;
      default:
        throw new Refusal("an opcode of checkpoints", `the opcode ${opcodeName(code)}`);
    }
  }

  #take(count: number): Buffer {
    if (count > this.#bytes.length - this.#at)
      throw new Refusal(`${count} more bytes`, `the end of its ${this.#bytes.length}`);
    return this.#bytes.subarray(this.#at, (this.#at += count));
  }

  #unsigned(count: 1 | 2 | 4): number {
    return this.#take(count).readUIntLE(0, count);
  }

  #long(count: number): number | bigint {
    const bytes = this.#take(count);
    if (count === 0) return 0;
    if (count <= 6) return bytes.readIntLE(0, count);
    const bits = bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
    const value = BigInt.asIntN(8 * count, bits);
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  #text(count: number): string {
    return this.#take(count).toString("utf8");
  }

  #line(): string {
    const end = this.#bytes.indexOf(10, this.#at);
    if (end < 0 || end - this.#at > 512) throw new Refusal("a global's name", "no end of its line");
    const text = this.#bytes.toString("utf8", this.#at, end);
    this.#at = end + 1;
    return text;
  }

  #push(value: PickleValue): void {
    this.#stack.push(value);
  }

  /** The values that the innermost mark leaves to pop: what lies below it is not touched. */
  get #above(): number {
    return this.#stack.length - (this.#marks.at(-1) ?? 0);
  }

  #pop(): PickleValue {
    return this.#popMany(1)[0]!;
  }

  #popMany(count: number): PickleValue[] {
    if (this.#above < count) throw new Refusal(`${count} values on the stack`, String(this.#above));
    return this.#stack.splice(-count);
  }

  #popToMark(): PickleValue[] {
    const mark = this.#marks.pop();
    if (mark === undefined) throw new Refusal("a mark on the stack", "none");
    return this.#stack.splice(mark);
  }

  #top(): PickleValue {
    const value = this.#stack.at(-1);
    if (value === undefined || this.#above < 1) throw new Refusal("a value on the stack", "none");
    return value;
  }

  #container<K extends "dict" | "list">(kind: K) {
    const value = this.#top();
    if (typeof value !== "object" || value === null || value.kind !== kind)
      throw new Refusal(`a ${kind}`, kindOf(value));
    return value as Extract<PickleValue, { kind: K }>;
  }

  #append(values: readonly PickleValue[]): void {
    const { items } = this.#container("list") as { items: PickleValue[] };
    for (const value of values) items.push(value);
  }

  #set(values: readonly PickleValue[]): void {
    const { items } = this.#container("dict");
    if (values.length % 2 !== 0) throw new Refusal("a value for each key", "a key alone");
    for (let i = 0; i < values.length; i += 2) items.set(values[i]!, values[i + 1]!);
  }

  #remember(index: number): void {
    this.#memo.set(index, this.#top());
  }

  #recall(index: number): void {
    const value = this.#memo.get(index);
    if (value === undefined) throw new Refusal("an earlier value", `none at ${index} of the memo`);
    this.#push(value);
  }
}
