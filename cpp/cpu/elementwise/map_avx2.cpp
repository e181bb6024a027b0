#include "cpp/cpu/target_avx2.h"

#include "cpp/cpu/elementwise/map_rows.h"
