#include "cpp/cpu/target_generic.h"

#include "cpp/cpu/conv/conv2d_float.h"
