import { fluxConfig, type FluxConfig } from "../models/flux/config.js";
import { Flux } from "../models/flux/model.js";
import { fluxNames } from "../models/flux/names.js";
import { fluxRope } from "../models/flux/positions.js";
import { loraTargets, withoutPrefix } from "../models/lora/modules.js";
import { readLora } from "../models/lora/read.js";
import { isJsonObject } from "../nn/config_reader.js";
import { under } from "../nn/load.js";
import { loraName, type Lora } from "../nn/lora.js";
import { gradients } from "../autograd/backward.js";
import type { Tensor } from "../tensor/tensor.js";
import type { ReplayRun } from "./replay.js";

async function sampleOf(run: ReplayRun, flux: Flux): Promise<Tensor> {
  const { config } = flux;
  const img = await run.input("hidden_states");
  const txt = await run.input("encoder_hidden_states");
  const ids = [...(await run.rows("txt_ids")), ...(await run.rows("img_ids"))];
  return flux.forward({
    img,
    txt,
    pooled: await run.input("pooled_projections"),
    sigma: await run.numbers("timestep"),
    guidance: config.guidance ? await run.numbers("guidance") : undefined,
    pe: fluxRope(config, ids, run.settings),
  });
}

/** The rows of `grad.lora.<module>.lora_A.weight` and `lora_B`, under the names of the file. */
async function compareGradients(run: ReplayRun, lora: Lora, config: FluxConfig): Promise<void> {
  const targets = loraTargets(config);
  for (const key of run.fixture.keys) {
    const [, module, half] = /^grad\.lora\.(.+)\.lora_([AB])\.weight$/.exec(key) ?? [];
    const target = module === undefined ? undefined : targets.get(withoutPrefix(module));
    if (target === undefined) continue;
    const part = lora.parts.find(
      ({ weight, row, inputs }) => weight === target.name && row * inputs === target.offset,
    );
    const gradient = part && lora.parameters.get(`${loraName(part)}.${half}`).grad;
    if (gradient === undefined) run.comparison.fail(key, "no gradient flowed");
    else await run.compare(key, gradient);
  }
}

/**
 * FLUX with a LoRA: unmerged in diffusers' naming, with the gradients of A and B; then the same adapter in
 * sd-scripts' naming, unmerged and merged, against the same sample.
 */
export async function replayFluxLora(run: ReplayRun): Promise<void> {
  const { fixture, settings } = run;
  const config = fluxConfig(fixture.config.flux);
  const said = fixture.config.lora;
  const alpha = isJsonObject(said) ? Number(said.lora_alpha) : undefined;
  const flux = new Flux(config, settings);
  const loras: Lora[] = [];
  const read = async (prefix: string, trainable: boolean): Promise<Lora> => {
    const options = { ...settings, trainable, ...(alpha !== undefined && { alpha }) };
    const { lora } = await readLora(under(prefix, fixture.source), config, options);
    loras.push(lora);
    return lora;
  };
  try {
    await run.load(flux.parameters, fluxNames(config, "diffusers"));
    const adapter = await read("lora.", true);
    flux.parameters.adapter = adapter;
    const sample = await sampleOf(run, flux);
    await run.compare("out.sample", sample);
    const g = await run.tensor("g.sample", { dtype: settings.dtype });
    gradients([sample], [g.handle]);
    await compareGradients(run, adapter, config);

    const kohya = await read("kohya.", false);
    flux.parameters.adapter = kohya;
    await run.compare("out.sample", await sampleOf(run, flux));
    flux.parameters.adapter = undefined;
    kohya.mergeInto(flux.parameters);
    await run.compare("out.sample", await sampleOf(run, flux));
  } finally {
    for (const lora of loras) lora.dispose();
    flux.dispose();
  }
}
