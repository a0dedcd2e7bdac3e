// One part of a seed while it is written; for one thread.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "daemon/seeds/archive_entry_ptr.h"
#include "daemon/seeds/packer.h"
#include "daemon/seeds/sha256.h"
#include "daemon/seeds/tree_walk.h"

namespace buildwarden::seeds {

class PartWriter {
 public:
  // `folder` is what is packed, `to` the descriptor to write to; `counted` is told of each piece of content, before it
  // is written, and may refuse it; a piece of a hole has 0 bytes.
  // `most_names`: bytes of names that it keeps.
  PartWriter(int folder, int to, std::function<Result<void>(Bytes)> counted, std::size_t most_names = kMostKeptNames);
  PartWriter(const PartWriter&) = delete;
  PartWriter& operator=(const PartWriter&) = delete;

  Result<void> open();
  Result<void> add(const Found& found);
  Result<PartWritten> close();
  // Nobody reads what is written any more: the errors above follow from that.
  [[nodiscard]] bool is_closed() const { return closed_; }

 private:
  static la_ssize_t write_bytes(archive* of, void* self, const void* bytes, std::size_t size);
  Result<void> add_file(archive_entry* entry, const Found& found);
  Result<void> add_content(archive_entry* entry, int file, const Found& found);
  Result<void> add_header(archive_entry* entry, const Found& found);
  Result<void> send(int file, off_t from, off_t to, const Found& found);
  Result<void> send_hole(off_t size, const Found& found);
  [[nodiscard]] Error broken(const std::string& path) const;

  int folder_;
  int to_;
  std::function<Result<void>(Bytes)> counted_;
  std::size_t most_names_;
  Writer writer_;
  Sha256 hash_;
  Bytes bytes_ = 0;
  bool closed_ = false;
  std::map<std::pair<dev_t, ino_t>, std::string> names_;  // of files with further names
  std::size_t name_bytes_ = 0;                            // in names_
};

}  // namespace buildwarden::seeds
