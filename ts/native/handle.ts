declare const handleBrand: unique symbol;
/** A tensor as the addon knows it: opaque, freed by its scope, by `tensorDispose` or with its last reference. */
export interface Handle {
  readonly [handleBrand]: true;
}
