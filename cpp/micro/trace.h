#pragma once
#include "cpp/micro/canvas.h"
#include "cpp/micro/scene.h"

namespace srpo::micro {

/// Fills direction, depth, normal and kind of every sample.
void trace(const Scene& scene, Canvas& canvas);

/// Fills `light`: for a sun of this half-width (tangent of the angle); 0 gives a hard edge.
void trace_shadow(const Scene& scene, Canvas& canvas, float sun_width);

/// Fills `open`: how much of the sky the object and the ground leave free near a point.
void trace_occlusion(const Scene& scene, Canvas& canvas);

/// Fills `mirror` of the ground's samples.
void trace_mirror(const Scene& scene, Canvas& canvas);

}  // namespace srpo::micro
