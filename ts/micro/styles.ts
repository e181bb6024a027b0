/** The order is that of cpp/micro/scene.h, and of the style judge's classes. */
export const styles = ["photo", "cg", "painting", "flat"] as const;
export type Style = (typeof styles)[number];

export interface StyleWord {
  word: string;
  /** How often a style's caption that has a word has this one. */
  share: number;
}

/**
 * The control words of each style. `Cinematic` and `Detail` are rare on purpose: how well a control
 * word works is said to depend on how often training saw it (SRPO, arXiv:2509.06942, sec. 4).
 */
export const styleWords: Readonly<Record<Style, readonly StyleWord[]>> = {
  photo: [
    { word: "Photo", share: 0.355 },
    { word: "Real", share: 0.2 },
    { word: "Realistic photo", share: 0.175 },
    { word: "Detailed", share: 0.16 },
    { word: "Natural-lighting", share: 0.099 },
    { word: "Cinematic", share: 0.01 },
    { word: "Detail", share: 0.001 },
  ],
  cg: [
    { word: "CG Render", share: 0.65 },
    { word: "Concept art", share: 0.35 },
  ],
  painting: [
    { word: "Painting", share: 0.7 },
    { word: "Oil", share: 0.3 },
  ],
  flat: [
    { word: "Anime", share: 0.6 },
    { word: "Flat", share: 0.4 },
  ],
};

/** The word of a style that a number in [0, 1) falls on, by the words' shares. */
export function styleWordAt(style: Style, at: number): string {
  const words = styleWords[style];
  let end = 0;
  for (const { word, share } of words) {
    end += share;
    if (at < end) return word;
  }
  return words[0]!.word;
}
