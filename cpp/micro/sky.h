#pragma once
#include "cpp/micro/scene.h"

namespace srpo::micro {

/// Linear colour of the sky in a direction: a gradient from the horizon up, alike in all styles.
Vec3 clear_sky(const Scene& scene, Vec3 direction);

/// The same in two flat bands.
Vec3 banded_sky(const Scene& scene, Vec3 direction);

/// With clouds drawn over it.
Vec3 cloudy_sky(const Scene& scene, Vec3 direction);

/// How much of a star is in a direction, 0 or 1; only at night.
float star(const Scene& scene, Vec3 direction);

}  // namespace srpo::micro
