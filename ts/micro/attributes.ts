/**
 * What a picture of the micro world shows and its caption says. The order of attributes and of values
 * is that of cpp/micro/scene.h, and part of every trained judge: add at the end, never reorder.
 */
export const attributeValues = {
  shape: ["ball", "cube", "cone", "cylinder", "ring"],
  colour: ["red", "green", "blue", "yellow", "purple", "orange", "white", "black"],
  size: ["small", "big"],
  position: ["left", "centre", "right"],
  ground: ["grass", "sand", "snow", "wood", "stone"],
  light: ["day", "dusk", "night"],
} as const;

export type AttributeName = keyof typeof attributeValues;
export type Attributes = { readonly [K in AttributeName]: (typeof attributeValues)[K][number] };

export const attributeNames = Object.keys(attributeValues) as readonly AttributeName[];

/** Each attribute's place in its list of values, in the order of `attributeNames`: a judge's targets. */
export function indicesOf(attributes: Attributes): number[] {
  return attributeNames.map((name) =>
    (attributeValues[name] as readonly string[]).indexOf(attributes[name]),
  );
}
