import { noGrad } from "../autograd/tape.js";
import { autoencoderConfig } from "../models/autoencoder/config.js";
import { Autoencoder } from "../models/autoencoder/model.js";
import { autoencoderNamesIn } from "../models/autoencoder/names.js";
import type { AutoencoderPart } from "../models/autoencoder/parameters.js";
import { under } from "../nn/load.js";
import type { NamesMap } from "../nn/names_map.js";
import type { ReplayRun } from "./replay.js";

const picture = { picture: true };

/** The parts of the autoencoder that the fixture has weights of. */
export async function replayAutoencoder(run: ReplayRun): Promise<void> {
  const config = autoencoderConfig(run.fixture.config);
  const names = [...under("w.", run.fixture.source).names()];
  const parts = (["encoder", "decoder"] as const).filter((part) =>
    names.some((name) => name.includes(`${part}.`)),
  );
  const vae = new Autoencoder(config, { ...run.parameterOptions, parts });
  try {
    const map = autoencoderNamesIn(config, names, parts);
    await run.load(vae.parameters, map);
    const replays: Record<AutoencoderPart, typeof replayEncoder> = {
      encoder: replayEncoder,
      decoder: replayDecoder,
    };
    for (const part of parts) await replays[part](run, vae, map);
  } finally {
    vae.dispose();
  }
}

async function replayEncoder(run: ReplayRun, vae: Autoencoder, map: NamesMap): Promise<void> {
  const image = await run.input("image", picture);
  const seen = run.intermediates(picture);
  const latent = vae.encode(image, { trace: seen.trace });
  await seen.compare();
  await run.compare("out.moments", latent.moments, picture);
  await run.compareIfThere("out.mean", latent.mean, picture);
  await run.compareIfThere("out.logvar", latent.logVariance, picture);
  if (run.has("in.eps")) {
    const noise = await run.tensor("in.eps", picture);
    const [z, scaled] = noGrad(() => {
      const drawn = vae.sample(latent, noise);
      return [drawn, vae.toNetwork(drawn)] as const;
    });
    await run.compareIfThere("out.z", z, picture);
    await run.compareIfThere("out.z_scaled", scaled, picture);
  }
  const outputs = { moments: latent.moments };
  await run.differentiate(outputs, { set: vae.parameters, map }, picture);
}

async function replayDecoder(run: ReplayRun, vae: Autoencoder, map: NamesMap): Promise<void> {
  const z = await run.input("z", picture);
  if (run.has("in.z_scaled")) {
    const scaled = await run.tensor("in.z_scaled", picture);
    await run.compare("in.z", vae.fromNetwork(scaled), picture);
  }
  const seen = run.intermediates(picture);
  const image = vae.decode(z, { trace: seen.trace });
  await seen.compare();
  await run.compare("out.image", image, picture);
  await run.differentiate({ image }, { set: vae.parameters, map }, picture);
}
