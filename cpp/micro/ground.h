#pragma once
#include "cpp/micro/scene.h"

namespace srpo::micro {

/// The ground's linear albedo at (x, z), with all its texture; `far` is the distance to the eye, at
/// which fine detail fades.
Vec3 textured_ground(const Scene& scene, float x, float z, float far);

/// One colour a material, with the seams of planks and slabs where `seams` is above 0.
Vec3 plain_ground(const Scene& scene, float x, float z, float seams);

}  // namespace srpo::micro
