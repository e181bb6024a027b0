#include "cpp/cpu/target_generic.h"

#include "cpp/cpu/elementwise/add_rows.h"
