import { encodePng, type Picture } from "../data/png.js";
import { html, type Html } from "./html.js";

/** A picture's file as an address that carries it whole. */
export function dataUri(png: Uint8Array): string {
  return `data:image/png;base64,${Buffer.from(png).toString("base64")}`;
}

/** A picture that the page carries, at its own size unless the style says otherwise. */
export function image(picture: Picture, alt: string): Html {
  const { width, height } = picture;
  return html`<img
    src="${dataUri(encodePng(picture))}"
    alt="${alt}"
    width="${width}"
    height="${height}"
  />`;
}

export interface Pair {
  caption: string;
  before: Picture;
  after: Picture;
}

/** Cards of two pictures of one prompt side by side, the prompt beneath. */
export function pairCards(pairs: readonly Pair[]): Html {
  return html`<div class="pairs">
    ${pairs.map(
      ({ caption, before, after }) =>
        html`<figure class="pair">
          <span class="heads"><span>before</span><span>after</span></span>
          <div>${image(before, `before: ${caption}`)}${image(after, `after: ${caption}`)}</div>
          <figcaption>${caption}</figcaption>
        </figure>`,
    )}
  </div> `;
}

/** A row a name, a column a caption. */
export interface PictureRows {
  captions: readonly string[];
  rows: readonly { name: string; pictures: readonly Picture[] }[];
}

/** Rows of pictures under common captions: the same prompts and noise in each row. */
export function pictureRows({ captions, rows }: PictureRows): Html {
  const columns = `grid-template-columns: minmax(6rem, max-content) repeat(${captions.length}, 1fr)`;
  return html`<div class="scroll">
    <div class="rows" style="${columns}">
      ${rows.map(
        ({ name, pictures }) =>
          html`<span>${name}</span
            >${pictures.map((picture, i) => image(picture, `${name}: ${captions[i] ?? ""}`))}`,
      )}<span></span>${captions.map((caption) => html`<span class="caption">${caption}</span>`)}
    </div>
  </div> `;
}
