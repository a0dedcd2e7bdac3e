// Unpacks the parts of a seed into an empty folder. What an archive says is anybody's word: nothing outside of the
// folder is touched, whatever it is.
#pragma once

#include <archive_entry.h>
#include <ctime>

#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "common/result.h"
#include "common/units.h"
#include "daemon/seeds/packer.h"

namespace buildwarden::seeds {

struct PartRead {
  Bytes bytes = 0;  // of the archive
  std::string sha256;
};

// Names are relative and have neither "." nor ".." in them; folders come in the first part alone, before what is in
// them; nothing comes twice, so that no name is ever followed to anything that was not made here as a folder. Each step
// is taken below the folder's descriptor without following links (openat2). Device nodes but for whiteouts (character,
// 0:0), sockets and attributes of other kinds than user, trusted, security and POSIX ACLs are refused. Symbolic links
// are made and never followed; where one leads is the matter of who reads it later, in a container.
class Unpacker {
 public:
  struct Limits {
    Bytes bytes = 0;                     // of content, holes not counted
    std::int64_t entries = 0;            // of any kind
    std::size_t names = kMostKeptNames;  // of folders, bytes
  };
  // `folder` is empty, this process alone writes there, and it stays open; `told` gets the bytes written so far, on any
  // of the threads.
  Unpacker(int folder, Limits limits, std::function<void(Bytes)> told = {});

  // The first part, which has the folders and nothing else; alone.
  // `most`: of its archive; more is kProtocol.
  Result<PartRead> folders(int part, Bytes most = kNoLimit) { return read({part, most}, true); }
  // A further one; several threads may do so at a time. kInvalid: what no seed may have, or more than the limits;
  // kProtocol: no archive, or a damaged one; kIo: the disk, the most likely one is that it is full.
  Result<PartRead> files(int part, Bytes most = kNoLimit) { return read({part, most}, false); }
  // Those that are under way end soon, with kCancelled. Any thread may call it.
  void give_up() { given_up_ = true; }
  // After the last: the folders' times. kProtocol: there was less than the limits say.
  Result<void> finish();

 private:
  static constexpr Bytes kNoLimit = std::numeric_limits<Bytes>::max();
  struct Archive {
    int part;
    Bytes most;
  };
  Result<PartRead> read(Archive archive, bool folders);
  Result<void> take_folder(archive_entry* entry);
  Result<void> count_entry();
  Result<void> count_bytes(Bytes more);
  Result<void> set_metadata(archive_entry* entry, int descriptor, const std::string& path);
  Result<void> set_attributes(archive_entry* entry, int descriptor, const std::string& path);
  Result<void> make_folder(archive_entry* entry, const std::string& path);

  friend class PartUnpacker;

  int folder_;
  Limits limits_;
  std::function<void(Bytes)> told_;
  std::atomic<Bytes> bytes_{0};
  std::atomic<std::int64_t> entries_{0};
  std::atomic<Bytes> attributes_{0};
  std::atomic<bool> given_up_{false};
  std::vector<std::pair<std::string, timespec>> times_;  // of the folders
  std::size_t name_bytes_ = 0;                           // in times_
};

}  // namespace buildwarden::seeds
