import { fluxConfig } from "../models/flux/config.js";
import { Flux } from "../models/flux/model.js";
import { fluxNamesIn } from "../models/flux/names.js";
import { fluxRope, type RopeTable } from "../models/flux/positions.js";
import { isJsonObject } from "../nn/config_reader.js";
import { under } from "../nn/load.js";
import { packLatent, split } from "../ops/index.js";
import type { Tensor } from "../tensor/tensor.js";
import type { ReplayRun } from "./replay.js";

/** Each angle serves the channels 2m and 2m + 1: the reference stores it for both. */
export async function interleaved(table: Tensor): Promise<Float32Array> {
  const half = await table.read();
  return Float32Array.from({ length: 2 * half.length }, (_, i) => half[i >> 1]!);
}

async function compareRope(run: ReplayRun, pe: RopeTable): Promise<void> {
  for (const [key, table] of [
    ["mid.rope_cos", pe.cos],
    ["mid.rope_sin", pe.sin],
  ] as const)
    if (run.has(key)) await run.comparison.add(key, await interleaved(table));
}

/** The transformer in diffusers' or BFL's naming. */
export async function replayFlux(run: ReplayRun): Promise<void> {
  const { fixture, settings } = run;
  const config = fluxConfig(isJsonObject(fixture.config.bfl) ? fixture.config.bfl : fixture.config);
  const flux = new Flux(config, run.parameterOptions);
  try {
    const map = fluxNamesIn(config, under("w.", fixture.source).names());
    await run.load(flux.parameters, map);

    const img = await run.input("hidden_states");
    if (run.has("in.latents"))
      await run.compare(
        "in.hidden_states",
        packLatent(await run.tensor("in.latents", { picture: true })),
      );
    const txt = await run.input("encoder_hidden_states");
    // Old callers gave the ids a batch dimension; its first entry serves.
    const ids = [
      ...(await run.rows("txt_ids")).slice(0, txt.dim(1)),
      ...(await run.rows("img_ids")).slice(0, img.dim(1)),
    ];
    const pe = fluxRope(config, ids, settings);
    await compareRope(run, pe);

    const seen = run.intermediates();
    const sample = flux.forward(
      {
        img,
        txt,
        pooled: await run.input("pooled_projections"),
        sigma: await run.numbers("timestep"),
        guidance: config.guidance ? await run.numbers("guidance") : undefined,
        pe,
      },
      {
        trace: (name, t) => {
          if (!name.startsWith("single.")) return seen.trace(name, t);
          const [ofTxt, ofImg] = split(t.detach(), 1, [txt.dim(1), img.dim(1)]);
          seen.trace(`${name}.txt`, ofTxt!);
          seen.trace(`${name}.img`, ofImg!);
        },
      },
    );
    await seen.compare();
    await run.compare("out.sample", sample);
    await run.compareIfThere("out.sample_diffusers", sample);
    await run.differentiate({ sample }, { set: flux.parameters, map });
  } finally {
    flux.dispose();
  }
}
