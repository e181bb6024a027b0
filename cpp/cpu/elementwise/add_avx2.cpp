#include "cpp/cpu/target_avx2.h"

#include "cpp/cpu/elementwise/add_rows.h"
