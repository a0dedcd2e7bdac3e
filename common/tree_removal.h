// Deleting a folder with all that is in it, while others may write there and want to lead us astray.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "common/result.h"
#include "common/units.h"

namespace buildwarden {

struct TreeRemoved {
  std::uint64_t removed = 0;  // files, links and folders
  Bytes bytes = 0;  // on disk, of files that had no other name: about what becomes free when nobody has them open
  std::uint64_t left = 0;           // what could not be removed, mounts included, the folders above it not
  std::string first_error;          // why, of the first of those; "" when there are none
  std::vector<std::string> mounts;  // mount points that were left alone, relative to the tree's parent; 16 at most
  bool stopped = false;             // by `stop` or after the time: the rest is there yet
  [[nodiscard]] bool whole() const { return left == 0 && !stopped; }
};

// What was to be deleted when that was decided.
struct TreeIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  friend bool operator==(const TreeIdentity&, const TreeIdentity&) = default;
};

struct RemovalOptions {
  std::stop_token stop{};
  // That remove at a time, the caller's among them: different folders of one filesystem go side by side, the files of
  // one folder do not.
  unsigned threads = 1;
  // Immutable and append-only things go as well (root only), but for files with another name: that may lie elsewhere.
  bool clear_flags = false;
  // Then it stops, as by `stop`: whoever writes there meanwhile, or a tree of millions, holds up nobody else.
  std::chrono::steady_clock::time_point until = std::chrono::steady_clock::now() + std::chrono::minutes{3};
};

// Removes `name`, a single component in the folder that `parent` is a descriptor of. Every step is relative to a
// descriptor of the folder that it happens in, follows no link and crosses no mount: what was moved or swapped
// meanwhile is at worst left. Mounts inside are left, with the folders above them. Nothing in there can make it open
// more than 70 descriptors a thread, or keep more than a few names: deep folders are moved up first; nor work on for
// ever: a folder into which others write all the while is left, and said to be so. May take minutes: for a worker.
// kNotFound: there is none; kConflict: it is not the one that `identity` says; kInvalid: no component; kDenied or kIo:
// `name` cannot be looked at.
Result<TreeRemoved> remove_tree_in(int parent, const std::string& name, TreeIdentity identity,
                                   const RemovalOptions& options);

// Of `name` itself, links not followed.
Result<TreeIdentity> tree_identity_in(int parent, const std::string& name);

}  // namespace buildwarden
