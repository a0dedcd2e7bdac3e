// A git mirror on its way out: in the trash, from where it can still come back.
#pragma once

#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "daemon/evictors/cache_dir_scan.h"
#include "daemon/ports/disk.h"

namespace buildwarden::disk {

// Whether what has this name in a trash is a mirror that was set aside: nobody knows yet whether it may go.
bool is_set_aside_mirror(std::string_view name_in_trash);

// Back to where they were: what a daemon that was killed had set aside in this folder's trash, so that it is asked
// about again before it goes. One whose name another one has by now is trash like any other. The answer: the names of
// those that came back. Errors as DeletionRoot::open() and trash(), but kNotFound. For a worker.
Result<std::vector<std::string>> put_back_set_aside(const std::string& folder);

// While it is set aside nobody can begin to use it, so who is asked about then is the last one. One that was neither
// removed nor put back is put back when this ends, such as when the daemon stops. All here blocks, for a worker, but
// the end does not for long: it is one rename.
class SetAsideMirror {
 public:
  // Renames it into the trash, unless somebody has it in use or it has changed. Errors: as folder_users(); it is where
  // it was then.
  static Result<SetAsideMirror> set_aside(const CacheEntry& entry, const std::stop_token& stop);

  SetAsideMirror(SetAsideMirror&& other) noexcept;
  SetAsideMirror& operator=(SetAsideMirror&&) = delete;
  ~SetAsideMirror();

  // Why it was not set aside; "" when it was.
  [[nodiscard]] const std::string& why_kept() const { return why_kept_; }

  // Says so as the reason for which it was dropped. An error: another one has its name by now, say, and it stays in the
  // trash.
  Result<ports::EvictionResult> put_back(const std::string& why);
  // Unless a process has it in use, or its lock, or we are asked to stop: then it is put back.
  Result<ports::EvictionResult> remove(const std::stop_token& stop);

 private:
  explicit SetAsideMirror(CacheEntry entry) : entry_(std::move(entry)) {}
  [[nodiscard]] Result<std::string> user_in_trash(int trash) const;

  CacheEntry entry_;
  std::string why_kept_;
  std::string in_trash_;  // its name there; "" when it is not there, or is being removed
};

}  // namespace buildwarden::disk
