import assert from "node:assert/strict";
import { suite } from "uvu";
import type { TensorStore } from "../../ts/checkpoint/tensor_store.js";
import { fluxConfig, fluxDev } from "../../ts/models/flux/config.js";
import { licenceNote } from "../../ts/models/convert/provenance.js";
import { tinyFlux } from "../support/tiny_flux.js";

const test = suite("what a written file says of its licence");
const storeWith = (metadata: Record<string, string>) =>
  ({ metadata: new Map(Object.entries(metadata)) }) as unknown as TensorStore;
const silent = storeWith({});

test("FLUX.1's sizes, dev and schnell", () => {
  assert.match(licenceNote(fluxDev, silent), /FLUX\.1 \[dev\] Non-Commercial/);
  assert.match(licenceNote({ ...fluxDev, guidance: false }, silent), /schnell.*Apache-2\.0/);
});
test("fewer blocks of FLUX.1's width are still of its weights", () => {
  assert.match(licenceNote({ ...fluxDev, depth: 8 }, silent), /Non-Commercial/);
});
test("another size claims nothing", () => {
  assert.match(licenceNote(fluxConfig(tinyFlux), silent), /names no licence/);
});
test("the base's own note goes on", () => {
  assert.equal(licenceNote(fluxDev, storeWith({ license: "MIT" })), "MIT");
});
test.run();
