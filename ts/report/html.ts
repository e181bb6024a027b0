/** Text that is HTML already: made by `html`, never from what others wrote. */
export class Html {
  constructor(readonly text: string) {}

  toString(): string {
    return this.text;
  }
}

/** What may stand in a template; undefined and false are nothing. */
export type Content = Html | string | number | undefined | false | readonly Content[];

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text as it may stand between tags and within quoted attributes; control characters become U+FFFD. */
export function escaped(text: string): string {
  return (
    text
      .replaceAll(/[&<>"']/g, (letter) => entities[letter]!)
      // No browser and no XML reader agrees with another on what these are.
      // oxlint-disable-next-line no-control-regex
      .replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\ud800-\udfff]/gu, "\ufffd")
  );
}

function textOf(content: Content): string {
  if (content === undefined || content === false) return "";
  if (content instanceof Html) return content.text;
  if (typeof content === "object") return content.map(textOf).join("");
  return escaped(String(content));
}

/**
 * A template whose values are escaped, each by itself: a caption cannot become a tag.
 *
 * @example html`<td>${caption}</td>`
 */
export function html(strings: TemplateStringsArray, ...values: readonly Content[]): Html {
  return new Html(
    strings.map((string, i) => string + (i < values.length ? textOf(values[i]) : "")).join(""),
  );
}
