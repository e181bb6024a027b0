import { render } from "../../ts/micro/render.js";
import { scenesOf } from "../../ts/micro/scenes.js";
import { styles } from "../../ts/micro/styles.js";
import { synchronize } from "../../ts/tensor/device.js";
import { tensorScope } from "../../ts/tensor/scope.js";
import type { BenchCase } from "../support/case.js";

// One picture is drawn by one thread: a call's time is that of a picture on one core, and at most
// 10,000 us (100 pictures a second and core) is what the micro world asks for at 64 pixels.
export const cases: readonly BenchCase[] = styles.flatMap((style) =>
  [64, 128].map((size) => ({
    name: `microRender  uint8  ${style} S=${size}  a picture`,
    why: size === 64 ? "training pictures, drawn on the fly" : "four times as many pixels",
    full: size !== 64,
    setUp: () => {
      const scenes = scenesOf("training", 0, 120);
      let next = 0;
      return async () => {
        {
          using scope = tensorScope();
          void scope;
          render([scenes[next++ % scenes.length]!], style, { size, dtype: "uint8" });
        }
        await synchronize("cpu");
      };
    },
  })),
);
