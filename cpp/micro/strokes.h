#pragma once
#include "cpp/micro/canvas.h"
#include "cpp/micro/scene.h"

namespace srpo::micro {

/// One layer of brush strokes; lengths in samples of a picture of 64 pixels.
struct Brush {
  float spacing, length, width;
  float difference;  // strokes only where canvas and scene differ by more; 0 paints all
};

/// Paints strokes over `canvas.spare` with the colours of `canvas.colours`, along forms and ground. A
/// stroke stays on what it began on (sky, ground or object), so that outlines hold.
void paint_strokes(const Scene& scene, Canvas& canvas, const Brush& brush);

}  // namespace srpo::micro
