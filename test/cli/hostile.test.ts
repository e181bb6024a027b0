// Bad input to whole commands: one clear line, the right exit code, nothing half-written.
import assert from "node:assert/strict";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import { at, fails, microFolder, training } from "../support/cli.js";

const test = suite("bad input");
test.before(async () => void (await microFolder()));

/** A copy of the micro folder, changed. */
function damaged(change: (folder: string) => void): string {
  rmSync(at("damaged"), { recursive: true, force: true });
  cpSync(at("micro"), at("damaged"), { recursive: true });
  change(at("damaged"));
  return at("damaged");
}

/** `train` on a folder, which must not get as far as a run folder. */
async function trainFails(
  words: RegExp,
  folder: string,
  { code = 1, more = [] }: { code?: number; more?: string[] } = {},
): Promise<string> {
  const args = training("refused", "--steps", "1", ...more);
  const said = await fails(
    code,
    words,
    args.map((arg) => (arg === at("micro") ? folder : arg)),
  );
  assert.equal(said.split("\n").length, 1, said);
  assert.ok(!existsSync(at("refused")), "a run folder was left");
  return said;
}

const parts: Readonly<Record<string, string>> = {
  transformer: "transformer/diffusion_pytorch_model.safetensors",
  vae: "vae/diffusion_pytorch_model.safetensors",
  text_encoder: "text_encoder/model.safetensors",
  text_encoder_2: "text_encoder_2/model.safetensors",
  reward: "reward/open_clip_model.safetensors",
};

/** Rewrites a safetensors file's header. */
function rewrite(file: string, change: (header: Record<string, Entry>) => void): void {
  const bytes = readFileSync(file);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + length)) as Record<string, Entry>;
  change(header);
  const text = Buffer.from(JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(file, Buffer.concat([size, text, bytes.subarray(8 + length)]));
}
interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

test("a model folder that is not there, or lacks a part", async () => {
  await trainFails(/nowhere: expected a FLUX folder or a file of its weights, got none/, "nowhere");
  for (const part of ["transformer", "vae", "text_encoder_2", "tokenizer", "reward"])
    await trainFails(
      new RegExp(part),
      damaged((folder) => rmSync(path.join(folder, part), { recursive: true })),
      { code: part === "reward" ? 2 : 1 },
    );
});

for (const [part, file] of Object.entries(parts))
  test(`${part}: truncated and lying weights`, async () => {
    await trainFails(
      /\.safetensors: .*expected .*, got /,
      damaged((folder) => truncateSync(path.join(folder, file), 5000)),
    );
    await trainFails(
      /\.safetensors: .*expected .*, got /,
      damaged((folder) => {
        rewrite(path.join(folder, file), (header) => {
          const [name] = Object.keys(header).filter((key) => key !== "__metadata__");
          header[name!]!.data_offsets[1] += 4;
        });
      }),
    );
  });

test("missing and misshapen tensors are all named at once", async () => {
  const said = await trainFails(
    /missing: /,
    damaged((folder) => {
      rewrite(path.join(folder, parts["transformer"]!), (header) => {
        const names = Object.keys(header).filter((key) => key !== "__metadata__");
        const [a, b, c] = names as [string, string, string];
        header["of_no_model.weight"] = header[a]!;
        delete header[a];
        for (const name of [b, c])
          header[name]!.shape = [1, header[name]!.shape.reduce((n, size) => n * size, 1), 1];
      });
    }),
  );
  assert.match(said, /unexpected: of_no_model\.weight/);
  assert.equal(said.match(/expected \[[\d, ]+\], got \[1, \d+, 1\]/g)?.length, 2, said);
});

test("config.json: wrong values all named, JSON that is none", async () => {
  const config = "transformer/config.json";
  const said = await trainFails(
    /config/,
    damaged((folder) => {
      const json = JSON.parse(readFileSync(path.join(folder, config), "utf8")) as object;
      const wrong = { ...json, num_layers: -1, attention_head_dim: "many" };
      writeFileSync(path.join(folder, config), JSON.stringify(wrong));
    }),
    { code: 2 },
  );
  assert.match(said, /num_layers.*attention_head_dim|attention_head_dim.*num_layers/);
  await trainFails(
    /config\.json/,
    damaged((folder) => writeFileSync(path.join(folder, config), '{"num_layers": 2,,')),
  );
});

test("prompts: empty, missing, not UTF-8, a folder", async () => {
  const prompts = (content: Uint8Array | string) => {
    writeFileSync(at("prompts.txt"), content);
    return { code: 2, more: ["--prompts", at("prompts.txt")] };
  };
  await trainFails(/prompts\.txt: expected at least one prompt/, at("micro"), prompts(""));
  await trainFails(/expected at least one prompt/, at("micro"), prompts("# only\n\n  \n"));
  const bytes = Buffer.from([0x61, 0x0a, 0xff, 0xfe, 0x0a]);
  await trainFails(/line 2: expected UTF-8 text/, at("micro"), prompts(bytes));
  const missing = { code: 2, more: ["--prompts", at("no.txt")] };
  await trainFails(/no\.txt/, at("micro"), missing);
  await trainFails(/micro/, at("micro"), { code: 2, more: ["--prompts", at("micro")] });
  await trainFails(/no\.txt/, at("micro"), { code: 2, more: ["--sample-prompts", at("no.txt")] });
});

test("embeddings: none, of another model, cut short", async () => {
  const more = ["--embeddings", at("embeddings")];
  await trainFails(/index\.json: expected a folder that .* wrote/, at("micro"), { more });
  mkdirSync(at("embeddings"));
  const index = {
    format: "srpo-native embeddings 1",
    prompts: 1,
    perFile: 4,
    textLength: 8,
    textWidth: 7,
    pooledWidth: 5,
    dtype: "float32",
  };
  writeFileSync(at("embeddings/index.json"), JSON.stringify(index));
  writeFileSync(at("embeddings/prompts.txt"), "a cat\n");
  await trainFails(/embeddings-00001\.safetensors/, at("micro"), { more });
  for (const [wrong, words] of [
    [{ ...index, perFile: 0 }, /perFile/],
    [{ ...index, prompts: 1e12 }, /prompts/],
    [[], /expected/],
  ] as const) {
    writeFileSync(at("embeddings/index.json"), JSON.stringify(wrong));
    await trainFails(words, at("micro"), { more });
  }
});

test("sizes that do not fit, a device that is not there", async () => {
  const more = (...flags: string[]) => ({ code: 2, more: flags });
  await trainFails(/height: expected a multiple of \d+, got 42/, at("micro"), {
    ...more("--height", "42"),
  });
  await trainFails(/--width: expected a whole number from 16 to 8192, got "1000000"/, at("micro"), {
    ...more("--width", "1000000"),
  });
  await trainFails(/--batch/, at("micro"), more("--batch", "0"));
  await trainFails(/window/, at("micro"), more("--window", "40,3"));
  await trainFails(/warmup/, at("micro"), more("--schedule", "cosine", "--warmup", "9"));
  await trainFails(
    /device: expected one that is there, got cuda:99 \(.*cuda.*\); "srpo-native doctor"/,
    at("micro"),
    {
      more: ["--device", "cuda:99"],
    },
  );
});

test("a run folder that cannot be: a file in its place, or above it", async () => {
  writeFileSync(at("file"), "");
  const into = (out: string) => [
    "train",
    "--model",
    at("micro"),
    "--out",
    out,
    "--steps",
    "1",
    "--preset",
    "micro",
  ];
  await fails(2, /out: expected a folder to write to at .*file, got ENOTDIR/, into(at("file")));
  await fails(2, /out: expected a folder to write to at .*file\/deep, got /, into(at("file/deep")));
  await fails(2, /out: \/proc\/srpo-native: write: expected a folder/, into("/proc/srpo-native"));
  const sample = ["sample", "x", "--model", at("micro"), "--height", "32", "--width", "32"];
  await fails(2, /out: .*file: write: expected a folder, got a file/, [
    ...sample,
    "--out",
    at("file"),
    "--steps=1",
  ]);
  await fails(1, /expected a folder/, ["init", "micro", at("file/micro")]);
  await fails(1, /expected nothing or an empty folder/, ["init", "micro", at("micro")]);
});

test.run();
