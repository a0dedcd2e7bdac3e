// journald's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): an entry with fields of its own, as one datagram. By
// hand for the reason of sd_notify.h: libsystemd costs each start of the client a millisecond.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/unique_fd.h"

namespace buildwarden {

inline constexpr const char* kJournaldSocket = "/run/systemd/journal/socket";

// Names in capitals, digits and "_"; a name may come several times: journalctl finds the entry by each of its values.
using JournalFields = std::vector<std::pair<std::string, std::string>>;

class JournaldSocket {
 public:
  // `path` longer than a socket's address may be: nothing is ever sent.
  explicit JournaldSocket(std::string path = kJournaldSocket);
  // Never waits: false when nobody takes it now, or it is too long for one datagram. From any thread.
  [[nodiscard]] bool send(const JournalFields& fields) const;

 private:
  std::string path_;
  UniqueFd socket_;
};

// The entry as it is sent.
std::string journal_datagram(const JournalFields& fields);

// Whether `descriptor` is the stream that `journal_stream`, "DEVICE:INODE" of $JOURNAL_STREAM, names: journald reads
// it.
bool is_journal_stream(int descriptor, std::string_view journal_stream);

}  // namespace buildwarden
