// Ctrl-C and SIGTERM: the first one asks (loops look at Interrupted() and stop after saving), the second one ends the
// process at once with code 130.
#pragma once

namespace r1 {

// Also ignores SIGXFSZ and SIGPIPE, so that a file size limit or a closed pipe is an error of the write that met it.
void InstallInterruptHandler();
bool Interrupted();
// For tests and for a program that goes on after an interrupt.
void RequestInterrupt();
void ClearInterrupt();

}  // namespace r1
