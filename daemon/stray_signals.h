// Signals that the daemon has no use for.
#pragma once

namespace buildwarden {

// From now on a signal that would end the process by default, and neither asks for that nor tells of a fault of its
// own, does nothing: whoever sends SIGUSR1 to look for a log level, a limit of the shell that started it, a SIGHUP that
// comes before the daemon reloads by it. Programs that it starts have their defaults: nothing is ignored, which they
// would inherit (signal(7)).
void disarm_stray_signals();

}  // namespace buildwarden
