#include "cpp/cpu/target_avx512.h"

#include "cpp/cpu/elementwise/add_rows.h"
