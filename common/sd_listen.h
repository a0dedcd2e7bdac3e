// Sockets that systemd opened and passed on (sd_listen_fds(3)), without libsystemd.
#pragma once

#include <string>
#include <vector>

#include "common/unique_fd.h"

namespace buildwarden {

struct PassedSocket {
  UniqueFd descriptor;
  bool is_unix = false;
  std::string name;     // FileDescriptorName= of the socket unit
  std::string address;  // for people: "/run/buildwarden/api.sock", "127.0.0.1:9847", "[::1]:9847"
};

struct PassedSockets {
  std::vector<PassedSocket> sockets;
  std::vector<std::string> refused;  // one sentence for each descriptor that is of no use here; it is closed
};

// Those of $LISTEN_FDS when $LISTEN_PID is this process, else none. Takes the variables out of the environment, so that
// no child takes the descriptors for its own, and sets close-on-exec. Before the first thread, once. `first` is
// systemd's number of the first one, another only for tests.
PassedSockets take_passed_sockets(int first = 3);

}  // namespace buildwarden
