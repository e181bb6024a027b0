#pragma once
#include "cpp/micro/canvas.h"
#include "cpp/micro/scene.h"

namespace srpo::micro {

/// Each draws a traced scene: `pixels` become display values, about 0 to 1.

/// Soft shadows of a wide sun, textures, ambient occlusion, shallow depth of field, a filmic curve,
/// muted colour, a vignette and grain.
void draw_photo(const Scene& scene, Canvas& canvas);

/// Hard shadows, strong highlights, a mirror-like ground, saturated plain colour and bloom.
void draw_cg(const Scene& scene, Canvas& canvas);

/// Brush strokes along forms over a softly lit scene, with varying hue, on canvas.
void draw_painting(const Scene& scene, Canvas& canvas);

/// Three tones, dark outlines, plain ground, a sky of two bands.
void draw_flat(const Scene& scene, Canvas& canvas);

}  // namespace srpo::micro
