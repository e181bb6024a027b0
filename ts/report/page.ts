import { html, Html, type Content } from "./html.js";
import { style } from "./style.js";

export interface PageOptions {
  title: string;
  /** One line beneath it. */
  lead?: Content;
  body: Content;
  /** The last lines: what made the page. */
  foot?: Content;
  /** For tables of many columns. */
  wide?: boolean;
}

// What the page may load: nothing but what it carries. A caption that were a tag in spite of all could
// still fetch nothing and run nothing.
const policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/** A whole HTML document that stands alone: no script, no request, every picture within. */
export function page({ title, lead, body, foot, wide = false }: PageOptions): string {
  return html`<!DOCTYPE html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${policy}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        <style>
          ${new Html(style)}
        </style>
      </head>
      <body${wide && html` class="wide"`}>
        <h1>${title}</h1>
        ${lead !== undefined && html`<p class="lead">${lead}</p>`} ${body}
        ${foot !== undefined && html`<p class="foot">${foot}</p>`}
      </body>
    </html> `.text;
}

/** A part of the page under a heading. */
export function section(heading: string, ...content: readonly Content[]): Html {
  return html`<section>
    <h2>${heading}</h2>
    ${content}
  </section> `;
}

/** Names and what they stand for, a line each. */
export function facts(entries: readonly (readonly [name: string, value: Content])[]): Html {
  return html`<dl>
    ${entries.map(
      ([name, value]) =>
        html`<dt>${name}</dt>
          <dd>${value}</dd>`,
    )}
  </dl> `;
}

/** A command line as one would type it. */
export function commandLine(line: string): Html {
  return html`<code class="command">${line}</code> `;
}
