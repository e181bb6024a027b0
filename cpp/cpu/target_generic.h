// First line of a kernel file for any x86-64; nothing may be included above it.
#define SRPO_TARGET generic
