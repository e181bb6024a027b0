import assert from "node:assert/strict";
import { suite } from "uvu";
import { native } from "../../ts/native/binding.js";
import { attributeNames, attributeValues, type Attributes } from "../../ts/micro/attributes.js";
import { render, renderWithCoverage } from "../../ts/micro/render.js";
import { scenesOf, type Scene } from "../../ts/micro/scenes.js";
import { styles, type Style } from "../../ts/micro/styles.js";
import { tensorScope } from "../../ts/tensor/scope.js";
import { assertSameBitsForThreads, refuses } from "../support/index.js";

const test = suite("micro render");
let scope = tensorScope();
test.before.each(() => {
  scope = tensorScope();
});
test.after.each(() => {
  scope[Symbol.dispose]();
});

/** Scenes whose captions agree in these words, and are drawn anew in all else. */
function scenesWith(attributes: Partial<Attributes>, count: number): Scene[] {
  return scenesOf("validation", 0, count).map((scene) => ({
    ...scene,
    attributes: { ...scene.attributes, ...attributes },
  }));
}

type Rgb = readonly [number, number, number];

/** The mean colour of each picture where it is wholly the object, and the object's share of it. */
async function objects(scenes: readonly Scene[], style: Style) {
  const { pictures, coverage } = renderWithCoverage(scenes, style);
  const [rgb, covered] = [await pictures.read(), await coverage.read()];
  const pixels = 64 * 64;
  return scenes.map((_, b) => {
    const sum = [0, 0, 0];
    let [count, share, across] = [0, 0, 0];
    for (let i = 0; i < pixels; ++i) {
      const at = covered[b * pixels + i]!;
      share += at / 255 / pixels;
      across += ((at / 255) * ((i % 64) + 0.5)) / 64;
      if (at !== 255) continue;
      ++count;
      for (let c = 0; c < 3; ++c) sum[c]! += rgb[(b * pixels + i) * 3 + c]!;
    }
    const mean = sum.map((v) => v / Math.max(1, count)) as unknown as Rgb;
    return { mean, share, middle: across / (share * pixels) };
  });
}

async function meansOf(scenes: readonly Scene[], style: Style): Promise<number[]> {
  const values = await render(scenes, style).read();
  const size = values.length / scenes.length;
  return scenes.map((_, b) =>
    values.subarray(b * size, (b + 1) * size).reduce((sum, v) => sum + v / size, 0),
  );
}

function hue([r, g, b]: Rgb): number {
  const high = Math.max(r, g, b);
  const range = high - Math.min(r, g, b);
  if (range === 0) return 0;
  const sixth =
    high === r ? (g - b) / range : high === g ? 2 + (b - r) / range : 4 + (r - g) / range;
  return (sixth * 60 + 360) % 360;
}

for (const style of styles)
  test(`${style}: the same scenes have the same bytes, on any number of threads`, async () => {
    const scenes = scenesOf("training", 5, 7);
    await assertSameBitsForThreads(() => [
      render(scenes, style, { dtype: "uint8" }),
      render(scenes, style),
    ]);
  });

test("a picture does not depend on its batch", async () => {
  const scenes = scenesOf("training", 0, 4);
  const all = Buffer.from(await render(scenes, styles, { dtype: "uint8" }).readBytes());
  const alone = render([scenes[2]!], styles[2], { dtype: "uint8" });
  const size = 64 * 64 * 3;
  assert.ok(all.subarray(2 * size, 3 * size).equals(Buffer.from(await alone.readBytes())));
});

test("uint8 is float32 rounded", async () => {
  const scenes = scenesOf("training", 3, 4);
  const bytes = await render(scenes, styles, { dtype: "uint8" }).read();
  const values = await render(scenes, styles).read();
  assert.ok(values.every((v) => v >= 0 && v <= 1));
  bytes.forEach((byte, i) => assert.ok(Math.abs(byte - values[i]! * 255) <= 0.5 + 1e-4));
});

test("other seeds, splits and numbers give other pictures", async () => {
  const bytesOf = async (scene: Scene) =>
    Buffer.from(await render([scene], "flat", { dtype: "uint8" }).readBytes());
  const [scene] = scenesOf("training", 0, 1) as [Scene];
  const first = await bytesOf(scene);
  for (const other of [
    { ...scene, seed: 1n },
    { ...scene, seed: 1n << 40n },
    { ...scene, split: "judging" as const },
    { ...scene, number: 1 },
  ])
    assert.ok(!first.equals(await bytesOf(other)));
});

test("the geometry is the same in all styles", async () => {
  const scenes = scenesOf("training", 0, 4);
  const maps = [];
  for (const style of styles)
    maps.push(Buffer.from(await renderWithCoverage(scenes, style).coverage.readBytes()));
  for (const map of maps) assert.ok(map.equals(maps[0]!));
});

test("objects by day have their colour", async () => {
  // Degrees on the colour wheel: where a person's words for them lie.
  const hues = {
    red: [335, 20],
    orange: [15, 42],
    yellow: [42, 70],
    green: [90, 165],
    blue: [205, 255],
    purple: [265, 325],
  } as const;
  for (const style of styles)
    for (const [colour, [low, high]] of Object.entries(hues)) {
      const scenes = scenesWith({ colour: colour as keyof typeof hues, light: "day" }, 12);
      for (const { mean } of await objects(scenes, style)) {
        const at = hue(mean);
        const inside = low < high ? at >= low && at <= high : at >= low || at <= high;
        assert.ok(inside, `${style} ${colour}: hue ${at} of ${mean.join(" ")}`);
      }
    }
  for (const style of styles) {
    const white = await objects(scenesWith({ colour: "white", light: "day" }, 12), style);
    const black = await objects(scenesWith({ colour: "black", light: "day" }, 12), style);
    for (const { mean } of white)
      assert.ok(Math.min(...mean) > 0.45, `${style} white: ${mean.join(" ")}`);
    for (const { mean } of black)
      assert.ok(Math.max(...mean) < 0.4, `${style} black: ${mean.join(" ")}`);
  }
});

test("night is darker than dusk, dusk than day", async () => {
  for (const style of styles) {
    const [day, dusk, night] = await Promise.all(
      attributeValues.light.map((light) => meansOf(scenesWith({ light }, 12), style)),
    );
    day!.forEach((_, i) => {
      assert.ok(night![i]! < 0.75 * dusk![i]!, `${style}: night ${night![i]}, dusk ${dusk![i]}`);
      assert.ok(dusk![i]! < day![i]!, `${style}: dusk ${dusk![i]}, day ${day![i]}`);
    });
  }
});

test("sizes differ by area, positions by place, and every object is in the picture", async () => {
  for (const shape of attributeValues.shape) {
    const small = await objects(scenesWith({ shape, size: "small" }, 24), "flat");
    const big = await objects(scenesWith({ shape, size: "big" }, 24), "flat");
    small.forEach(({ share }, i) => {
      assert.ok(share > 0.004 && big[i]!.share < 0.35, `${shape}: ${share} ${big[i]!.share}`);
      assert.ok(big[i]!.share > 2 * share, `${shape}: ${share} ${big[i]!.share}`);
    });
  }
  for (const size of attributeValues.size) {
    const bounds = { left: [0, 0.38], centre: [0.4, 0.6], right: [0.62, 1] } as const;
    for (const position of attributeValues.position)
      for (const { middle } of await objects(scenesWith({ size, position }, 24), "flat")) {
        const [low, high] = bounds[position];
        assert.ok(middle > low && middle < high, `${size} ${position}: ${middle}`);
      }
  }
});

test("photo is grained where flat is smooth, and cg is the most saturated", async () => {
  // On snow: what remains of a pixel when the mean of its neighbours is taken away.
  const roughness = async (style: Style) => {
    const values = await render(scenesWith({ light: "night", ground: "snow" }, 8), style).read();
    let [sum, count] = [0, 0];
    for (let b = 0; b < 8; ++b)
      for (let y = 40; y < 62; ++y)
        for (let x = 2; x < 62; ++x) {
          const at = (i: number) => values[(b * 4096 + y * 64 + x + i) * 3]!;
          sum += (at(0) - (at(-1) + at(1)) / 2) ** 2 / 1.5;
          ++count;
        }
    return Math.sqrt(sum / count);
  };
  assert.ok((await roughness("photo")) > 2 * (await roughness("flat")));
  const saturation = async (style: Style) => {
    const values = await render(scenesWith({ light: "day" }, 16), style).read();
    let sum = 0;
    for (let i = 0; i < values.length; i += 3) {
      const rgb = values.subarray(i, i + 3);
      sum += Math.max(...rgb) - Math.min(...rgb);
    }
    return sum;
  };
  const cg = await saturation("cg");
  for (const style of ["photo", "painting", "flat"] as const)
    assert.ok(cg > 1.2 * (await saturation(style)), style);
});

test("sizes and dtypes that cannot be drawn are refused by name", () => {
  const scenes = scenesOf("training", 0, 2);
  for (const size of [0, -64, 7, 513])
    refuses(
      () => render(scenes, "cg", { size }),
      "ERR_RANGE",
      `microRender: size: expected 8 to 512, got ${size}`,
    );
  refuses(
    () => render([], "cg"),
    "ERR_SHAPE",
    "microRender: scenes: expected at least one, got none",
  );
  refuses(
    () => render(scenes, ["cg"]),
    "ERR_SHAPE",
    "microRender: styles: expected 2 numbers, got 1",
  );
  refuses(
    () => render(scenes, "sketch" as Style),
    "ERR_RANGE",
    "microRender: style: expected 0 to 3, got -1",
  );
  refuses(
    () => render([...scenes, ...scenesOf("judging", 0, 1)], "cg"),
    "ERR_RANGE",
    "microRender: scenes: expected scenes of one seed and one split, got several",
  );
  refuses(
    () => render(scenes, "cg", { dtype: "int32" as "uint8" }),
    "ERR_DTYPE",
    "microRender: dtype: expected float32, got int32",
  );
});

test("the addon refuses attributes that there are not", () => {
  for (const [i, name] of attributeNames.entries()) {
    const count = attributeValues[name].length;
    const attributes = attributeNames.map((_, k) => (k === i ? count : 0));
    refuses(
      () => native.microRender(0n, 11, 0, [0], attributes, [0], 64, "uint8", false),
      "ERR_RANGE",
      `microRender: ${name}: expected 0 to ${count - 1}, got ${count}`,
    );
  }
});

test.run();
