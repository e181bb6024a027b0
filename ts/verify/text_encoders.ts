import { noGrad } from "../autograd/tape.js";
import { clipTextConfig } from "../models/clip/config.js";
import { pooledText } from "../models/clip/layers.js";
import { clipTextNames } from "../models/clip/names.js";
import { ClipText } from "../models/clip/text_model.js";
import { t5Config, type T5Config } from "../models/t5/config.js";
import { T5Encoder } from "../models/t5/model.js";
import { t5NamesIn } from "../models/t5/names.js";
import { under } from "../nn/load.js";
import { relativeBias } from "../ops/index.js";
import { tensor } from "../tensor/tensor.js";
import type { ReplayRun } from "./replay.js";

/** CLIP's text tower, with the legacy end rule and with the true one. */
export async function replayClipText(run: ReplayRun): Promise<void> {
  const config = clipTextConfig(run.fixture.config);
  const clip = new ClipText(config, run.parameterOptions);
  try {
    const map = clipTextNames(config);
    await run.load(clip.parameters, map);
    const ids = await run.rows("input_ids");
    const seen = run.intermediates();
    const { hidden, pooled } = clip.encode(ids, { trace: seen.trace });
    await seen.compare();
    await run.compare("out.last_hidden_state", hidden);
    await run.compare("out.pooled", pooled);
    if (run.has("out.pooled_eos")) {
      const endToken = Number(run.fixture.config.true_eos);
      const byEnd = noGrad(() => pooledText({ ...config, endToken }, hidden, ids));
      await run.compare("out.pooled_eos", byEnd);
    }
    await run.differentiate({ last_hidden_state: hidden, pooled }, { set: clip.parameters, map });
  } finally {
    clip.dispose();
  }
}

/** The bucket of each offset key - query from -(L - 1) to L - 1, out of a table that holds its row numbers. */
async function bucketOfOffset(
  { buckets, maxDistance }: T5Config,
  L: number,
): Promise<Float32Array> {
  const numbers = tensor(
    Array.from({ length: buckets }, (_, i) => i),
    [buckets, 1],
  );
  const bias = await relativeBias(numbers, L, { buckets, maxDistance }).read(); // [1, query, key]
  return Float32Array.from({ length: 2 * L - 1 }, (_, i) => {
    const offset = i - (L - 1);
    return offset < 0 ? bias[-offset * L]! : bias[offset]!;
  });
}

/** The T5 encoder, as FLUX calls it and with the padding (id 0) masked. */
export async function replayT5(run: ReplayRun): Promise<void> {
  const config = t5Config(run.fixture.config);
  const t5 = new T5Encoder(config, run.parameterOptions);
  try {
    const map = t5NamesIn(config, under("w.", run.fixture.source).names());
    await run.load(t5.parameters, map);
    const ids = await run.rows("input_ids");
    if (run.has("mid.bucket_of_offset"))
      await run.comparison.add(
        "mid.bucket_of_offset",
        await bucketOfOffset(config, ids[0]!.length),
      );
    const seen = run.intermediates();
    const last = t5.encode(ids, { trace: seen.trace });
    await seen.compare();
    await run.compare("out.last_hidden_state", last);
    if (run.has("out.masked")) {
      const mask = run.has("in.attention_mask")
        ? await run.rows("attention_mask")
        : ids.map((row) => row.map((id) => (id === 0 ? 0 : 1)));
      await run.compare(
        "out.masked",
        noGrad(() => t5.encode(ids, { mask })),
      );
    }
    await run.differentiate({ last_hidden_state: last }, { set: t5.parameters, map });
  } finally {
    t5.dispose();
  }
}
