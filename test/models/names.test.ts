import assert from "node:assert/strict";
import { suite } from "uvu";
import { autoencoderConfig } from "../../ts/models/autoencoder/config.js";
import { autoencoderNames, autoencoderNamesIn } from "../../ts/models/autoencoder/names.js";
import { autoencoderParameters } from "../../ts/models/autoencoder/parameters.js";
import { fluxConfig } from "../../ts/models/flux/config.js";
import { detectFluxNaming, fluxNames, fluxNamesIn } from "../../ts/models/flux/names.js";
import { fluxParameters } from "../../ts/models/flux/parameters.js";
import { t5Config } from "../../ts/models/t5/config.js";
import { t5Names, t5NamesIn } from "../../ts/models/t5/names.js";
import type { NamesMap } from "../../ts/nn/names_map.js";
import { sizeOf, type Parameter } from "../../ts/nn/parameter.js";

/** Every element of every parameter stands in exactly one tensor on disk. */
function assertCovers(map: NamesMap, parameters: readonly Parameter[]): void {
  const ofParameter = new Map<string, [start: number, end: number][]>();
  const names = new Set<string>();
  for (const { disk, name, offset, shape } of map.tensors) {
    assert.ok(!names.has(disk), `${disk} stands twice`);
    names.add(disk);
    ofParameter.set(name, [...(ofParameter.get(name) ?? []), [offset, offset + sizeOf(shape)]]);
  }
  for (const { name, shape } of parameters) {
    const ranges = (ofParameter.get(name) ?? []).sort(([a], [b]) => a - b);
    let end = 0;
    for (const [from, to] of ranges) {
      assert.equal(from, end, `${name}: a hole or an overlap at ${end}`);
      end = to;
    }
    assert.equal(end, sizeOf(shape), `${name}: covered to ${end}`);
  }
  assert.equal(ofParameter.size, parameters.length);
}

const small = fluxConfig({
  num_layers: 1,
  num_single_layers: 1,
  num_attention_heads: 2,
  attention_head_dim: 16,
  axes_dims_rope: [4, 6, 6],
  joint_attention_dim: 24,
  pooled_projection_dim: 20,
  guidance_embeds: true,
});
const detection = suite("names on disk are told by their content");
for (const naming of ["bfl", "diffusers"] as const)
  for (const prefix of ["", "model.diffusion_model.", "transformer."])
    detection(`${naming} behind "${prefix}"`, () => {
      const names = fluxNames(small, naming).tensors.map(({ disk }) => prefix + disk);
      assert.deepEqual(detectFluxNaming(names), { naming, prefix });
      const map = fluxNamesIn(small, names);
      assert.deepEqual(map.tensors.map(({ disk }) => disk).sort(), names.sort());
      assertCovers(map, fluxParameters(small));
      // An all-in-one file has the autoencoder beside it; without a prefix nothing else belongs there.
      assert.equal(map.ignores("first_stage_model.decoder.conv_in.weight"), prefix !== "");
    });

detection("an autoencoder's, part by part", () => {
  const config = autoencoderConfig({
    block_out_channels: [32, 64],
    latent_channels: 4,
    layers_per_block: 1,
    norm_num_groups: 32,
    scaling_factor: 1,
    use_quant_conv: false,
    use_post_quant_conv: false,
  });
  for (const naming of ["bfl", "diffusers"] as const) {
    const both = autoencoderNames(config, naming);
    assertCovers(both, autoencoderParameters(config));
    const names = both.tensors.map(({ disk }) => disk);
    assert.deepEqual(autoencoderNamesIn(config, names).tensors, both.tensors);
    const decoder = autoencoderNamesIn(config, names, ["decoder"]);
    assertCovers(decoder, autoencoderParameters(config, ["decoder"]));
    assert.ok(names.filter((n) => n.startsWith("encoder.")).every((n) => decoder.ignores(n)));
  }
});

detection("a T5 that keeps its embedding under the tied name", () => {
  const config = t5Config({
    feed_forward_proj: "gated-gelu",
    vocab_size: 10,
    d_model: 8,
    num_layers: 1,
    num_heads: 2,
    d_kv: 4,
    d_ff: 12,
  });
  const names = t5Names(config).tensors.map(({ disk }) => disk);
  const tied = names.map((n) => (n === "shared.weight" ? "encoder.embed_tokens.weight" : n));
  assert.deepEqual(
    t5NamesIn(config, tied).tensors.map(({ disk }) => disk),
    tied,
  );
});
detection.run();
