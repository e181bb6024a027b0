#include "cpp/cpu/target_avx512.h"

#include "cpp/cpu/elementwise/map_rows.h"
