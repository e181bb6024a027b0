import type { Picture } from "../data/png.js";
import { letterRows, letterSize } from "./font.js";

export type Colour = readonly [red: number, green: number, blue: number];

/** A picture to draw on; what falls outside it is cut off. */
export class Canvas implements Picture {
  readonly rgb: Uint8Array;

  constructor(
    readonly width: number,
    readonly height: number,
    ground: Colour,
  ) {
    this.rgb = new Uint8Array(width * height * 3);
    this.fill(0, 0, width, height, ground);
  }

  fill(left: number, top: number, width: number, height: number, colour: Colour): void {
    const [from, to] = [Math.max(0, left), Math.min(this.width, left + width)];
    for (let y = Math.max(0, top); y < Math.min(this.height, top + height); ++y)
      for (let x = from; x < to; ++x) this.rgb.set(colour, (y * this.width + x) * 3);
  }

  /** Each dot of the picture as a square of `scale`. */
  picture(left: number, top: number, { width, height, rgb }: Picture, scale: number): void {
    for (let y = 0; y < height * scale; ++y)
      for (let x = 0; x < width * scale; ++x) {
        const [to, row] = [left + x, top + y];
        if (to < 0 || row < 0 || to >= this.width || row >= this.height) continue;
        const from = (Math.floor(y / scale) * width + Math.floor(x / scale)) * 3;
        this.rgb.set(rgb.subarray(from, from + 3), (row * this.width + to) * 3);
      }
  }

  /** A line of letters, its top left corner given. */
  text(left: number, top: number, text: string, scale: number, colour: Colour): void {
    Array.from(text).forEach((letter, i) => {
      letterRows(letter).forEach((bits, row) => {
        for (let dot = 0; dot < letterSize.width; ++dot)
          if (((bits >> (letterSize.width - 1 - dot)) & 1) === 1)
            this.fill(
              left + (i * letterSize.advance + dot) * scale,
              top + row * scale,
              scale,
              scale,
              colour,
            );
      });
    });
  }
}
