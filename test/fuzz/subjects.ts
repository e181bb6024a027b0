// What is fuzzed: good files, the pieces that mean something in them, and what their reader does with a file.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { openTensors } from "../../ts/checkpoint/sharded.js";
import type { TensorStore } from "../../ts/checkpoint/tensor_store.js";
import { packageRoot } from "../../ts/native/load.js";
import { synchronize } from "../../ts/tensor/device.js";
import { tensorScope } from "../../ts/tensor/scope.js";
import {
  BertTokenizer,
  ClipTokenizer,
  learnClip,
  learnT5,
  T5Tokenizer,
} from "../../ts/text/index.js";
import { floats, pickleOf, tensorOf, torchOf } from "../checkpoint/torch_bytes.js";

export interface Subject {
  readonly name: string;
  /** The file that a mutated one takes the place of. */
  readonly file: string;
  readonly good: readonly Buffer[];
  readonly pieces: readonly Buffer[];
  /** Of all rounds, as a weight. */
  readonly share: number;
  /** Writes what stands beside the file; called once. */
  prepare(folder: string): void;
  /** Opens the folder's file and uses what it got. */
  read(folder: string): Promise<void>;
}

const texts = (all: readonly string[]) => all.map((text) => Buffer.from(text, "latin1"));
// More than a mutated file may hold: beyond it nothing is read, only opened.
const mostElements = 1e6;

/** Reads every tensor that is small enough, as the loaders do. */
async function readAll(store: TensorStore): Promise<void> {
  using scope = tensorScope();
  void scope;
  for (const name of store.names()) {
    const { dtype, shape } = store.info(name);
    const size = shape.reduce((product, n) => product * n, 1);
    if (size <= mostElements && shape.length <= 6 && dtype !== "C64" && dtype !== "F8_E8M0")
      store.read(name);
  }
  // An I64 of odd bytes does not fit int32: an error of the data, not of the file.
  await synchronize("cpu").catch((error: unknown) => {
    if ((error as { code?: string }).code !== "ERR_CHECKPOINT") throw error;
  });
}

async function openAndRead(place: string): Promise<void> {
  using store = openTensors(place);
  await readAll(store);
}

function safetensors(tensors: object, data: number): Buffer {
  const text = Buffer.from(JSON.stringify(tensors));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, Buffer.alloc(data, 1)]);
}

const headers = [
  safetensors(
    {
      __metadata__: { format: "pt", note: "\u00e9\ud83d\ude00\\\n" },
      "a.weight": { dtype: "F32", shape: [2, 3], data_offsets: [0, 24] },
      b: { dtype: "BF16", shape: [5], data_offsets: [24, 34] },
      "c d": { dtype: "I64", shape: [], data_offsets: [34, 42] },
      e: { dtype: "U8", shape: [0, 7], data_offsets: [42, 42] },
    },
    42,
  ),
  safetensors(
    {
      "x.weight": { dtype: "F8_E4M3", shape: [2, 4], data_offsets: [0, 8] },
      "x.scale_weight": { dtype: "F32", shape: [], data_offsets: [8, 12] },
      scaled_fp8: { dtype: "F8_E4M3", shape: [2], data_offsets: [12, 14] },
    },
    14,
  ),
];
const json = texts([
  "{", "}", "[", "]", ",", ":", '"', "\\", "\\u0000", "\\ud800", "null", "-1", "1e9", "0.5", "true",
  "9007199254740993", "18446744073709551616", '"a.weight"', '"dtype"', '"shape"', "F64", '"data_offsets"',
  "__metadata__", "[".repeat(50), " ".repeat(70), "F8_E4M3", "x.scale_weight", '"b":{},', "24", "34", "__proto__",
]); // prettier-ignore

const matrix = tensorOf({ elements: 6, shape: [2, 3], strides: [3, 1] });
const turned = tensorOf({ elements: 6, shape: [3, 2], strides: [1, 3] });
const pickles = [
  pickleOf({ dict: [["w", matrix], ["t", turned], ["epoch", 3]] }),
  pickleOf({ dict: [["state_dict", { dict: [["w", matrix]] }], ["lr", 2 ** 40]] }),
]; // prettier-ignore
const six = floats([0, 1, 2, 3, 4, 5]);
const pickleOps = [
  ...Array.from({ length: 256 }, (_, i) => Buffer.from([i])),
  ...texts([
    "cos\nsystem\n", "cbuiltins\neval\n", "ctorch._utils\n_rebuild_tensor_v2\n", "ccollections\nOrderedDict\n",
    "ctorch\nFloatStorage\n", "(t", "(", "}(", "]", "Q", "R", "\x85R", "\x8a\xff", "X\xff\xff\xff\xff", "h\x00", "q\x00",
    "J\xff\xff\xff\xff", "\x94", "\x95\x00\x00\x00\x00\x00\x00\x00\x00", "storage", "\x93", "b", "s", "u", ".", "0", "2",
  ]),
]; // prettier-ignore

/** A subject that is one file. */
function oneFile(
  of: Pick<Subject, "name" | "file" | "good" | "pieces" | "share">,
  read: (file: string) => Promise<void> = openAndRead,
): Subject {
  return { ...of, prepare: () => {}, read: (folder) => read(path.join(folder, of.file)) };
}

const golden = (name: string) =>
  readFileSync(path.join(packageRoot, "test/checkpoint/golden", name));
const phrases = ["a red fox in the snow", "the red house in the snow", "a fox, a house"];
const clip = learnClip(phrases, { size: 540 });
const t5 = learnT5(phrases, { size: 120 });
const sample = "a red Fox's house, 42 \u00e9\u4e2d\ud83d\ude00!";

export const subjects: readonly Subject[] = [
  oneFile({ name: "safetensors", file: "a.safetensors", good: headers, pieces: json, share: 4 }),
  {
    name: "index",
    file: "model.safetensors.index.json",
    good: [
      Buffer.from(
        JSON.stringify({
          metadata: { total_size: 42 },
          weight_map: {
            "a.weight": "model-1.safetensors",
            b: "model-1.safetensors",
            "x.weight": "model-2.safetensors",
          },
        }),
      ),
    ],
    pieces: [...json, ...texts(["model-1.safetensors", "../model-1.safetensors", "/etc/passwd", "a.bin"])],
    share: 2,
    prepare: (folder) =>
      headers.forEach((bytes, i) => writeFileSync(path.join(folder, `model-${i + 1}.safetensors`), bytes)),
    read: (folder) => openAndRead(path.join(folder, "model.safetensors.index.json")),
  },
  oneFile({
    name: "zip",
    file: "a.pt",
    good: [
      golden("state_dict.pt"),
      golden("nested.pt"),
      golden("float8.pt"),
      ...pickles.map((p) => torchOf(p, { "0": six }, { zip64: true })),
    ],
    pieces: texts(["PK\x03\x04", "PK\x01\x02", "PK\x05\x06", "PK\x06\x06", "PK\x06\x07", "a/data.pkl", "../", "\x01\x00\x18\x00"]),
    share: 3,
  }),
  {
    // The pickle is changed and packed anew, so that its checksum holds.
    ...oneFile({ name: "pickle", file: "b.pkl", good: pickles, pieces: pickleOps, share: 4 }),
    read: async (folder) => {
      const file = path.join(folder, "b.pt");
      writeFileSync(file, torchOf(readFileSync(path.join(folder, "b.pkl")), { "0": six }));
      await openAndRead(file);
    },
  },
  {
    name: "vocab.json",
    file: "vocab.json",
    good: [Buffer.from(clip.vocabJson)],
    pieces: json,
    share: 1,
    prepare: (folder) => writeFileSync(path.join(folder, "merges.txt"), clip.mergesTxt),
    read: async (folder) => {
      const tokenizer = await ClipTokenizer.load(folder, { variant: "hf" });
      tokenizer.encodeBatch([sample]);
    },
  },
  {
    name: "merges.txt",
    file: "merges.txt",
    good: [Buffer.from(clip.mergesTxt)],
    pieces: texts(["\n", " ", "a b", "</w>", "#version", "\r\n", "\xff", "  ", "e r</w>"]),
    share: 1,
    prepare: (folder) => writeFileSync(path.join(folder, "vocab.json"), clip.vocabJson),
    read: async (folder) => {
      const tokenizer = await ClipTokenizer.load(folder, { variant: "open_clip" });
      tokenizer.encodeBatch([sample]);
    },
  },
  {
    name: "vocab.txt",
    file: "vocab.txt",
    good: texts(["[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nred\nfox\n##es\n##x\n,\n\u732b\n"]),
    pieces: texts(["\n", "\r\n", "##", "[UNK]", "[ENC]", "[DEC]", "\xff", " ", "a\n", "\0"]),
    share: 1,
    prepare: () => {},
    read: async (folder) => {
      const tokenizer = await BertTokenizer.load(folder);
      tokenizer.encodeBatch([sample]);
    },
  },
  {
    name: "tokenizer.json",
    file: "tokenizer.json",
    good: [Buffer.from(t5)],
    pieces: [...json, ...texts(["Precompiled", "Unigram", "-1e308", "\u2581", '"unk_id"', "AAAA"])],
    share: 1,
    prepare: () => {},
    read: async (folder) => {
      const tokenizer = await T5Tokenizer.load(folder);
      tokenizer.encodeBatch([sample]);
    },
  },
]; // prettier-ignore
