#include "cpp/cpu/target_generic.h"

#include "cpp/cpu/elementwise/map_rows.h"
