#pragma once
/// Calls `body`. callgrind counts what happens inside, and nothing else: Benchmarks/instructions.sh.
void measured_call(void (*body)(void *), void *context);
