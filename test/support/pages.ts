// What a page must be: whole by itself, and well-formed enough that no reader has to guess.
import assert from "node:assert/strict";

// Elements of HTML without an end.
const empty = new Set(["meta", "img", "br", "link", "input"]);

/** Fails unless every tag is closed, in order, and every attribute quoted. */
export function assertWellFormed(page: string): void {
  const open: string[] = [];
  const body = page.replace(/^<!DOCTYPE html>/, "").replace(/<style>[^<]*<\/style>/g, "");
  const tag = /<(\/?)([a-z][a-z0-9]*)((?:\s+[a-zA-Z][\w:-]*="[^"<>]*")*)\s*(\/?)>/g;
  for (const [, slash, name, , self] of body.matchAll(tag)) {
    if (slash === "/") assert.equal(open.pop(), name, `</${name}> closes another`);
    else if (self !== "/" && !empty.has(name!)) open.push(name!);
  }
  assert.deepEqual(open, [], "tags that stay open");
  assert.ok(!body.replaceAll(tag, "").includes("<"), "a < that begins no tag");
  for (const [entity] of body.matchAll(/&[^;\s]*;?/g))
    assert.match(entity, /^&(?:amp|lt|gt|quot|#39);$/);
}

/** Fails if the page would ask anything of anyone, or run anything. */
export function assertStandsAlone(page: string): void {
  const bare = page.replaceAll(/data:image\/png;base64,[A-Za-z0-9+/=]+/g, "data:");
  const asks = /<(?:script|link|iframe|object|embed|base|form)\b/i;
  assert.ok(!asks.test(bare), "a tag that asks for something");
  // What is between tags is text, and may well be somebody's address.
  for (const [tag] of bare.matchAll(/<[^>]*>/g)) {
    assert.ok(!/\s(?:src|href|action|srcset|poster|data)="(?!data:")/i.test(tag), tag);
    assert.ok(!/\son[a-z]+\s*=\s*"/i.test(tag.replaceAll(/"[^"]*"/g, '""')), tag);
  }
  const [style = ""] = /<style>[^<]*<\/style>/.exec(bare) ?? [];
  assert.ok(!/url\(|@import|https?:/i.test(style), "an address in a style");
  assert.match(
    page,
    /Content-Security-Policy" content="default-src &#39;none&#39;; img-src data:;/,
  );
}
